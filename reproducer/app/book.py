"""The book: run the notebooks, then build the pages from what they returned."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import papermill
import yaml
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from reproducer.app.gallery import write_gallery
from reproducer.app.mend import mend
from reproducer.app.prepare import FILES, copy_files, prepare
from reproducer.errors import ReproducerError, require_name
from reproducer.experiments import EXPERIMENTS, SHIPPED
from reproducer.experiments.profiles import profile_file, profile_overrides
from reproducer.interrupts import Stopped, stop_on_signals
from reproducer.paths import ROOT

LANDING = "index"
EXECUTED = "executed/"
MOST_AT_A_TIME = 8  # each takes some 2 GB
# A kernel's own remarks on transport and shutdown are no news to someone who waits for results.
KERNEL_SETTINGS = "c = get_config()\nc.IPKernelApp.log_level = 'CRITICAL'\n"
LONGEST_FOLDER = 50
MATHJAX = "sphinx-mathjax-offline"
# The part of MathJax that a page can ask for: TeX in, HTML out. The rest is 20 MB.
MATHJAX_PARTS = ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def build_book(
    profile: str, experiments: list[str] | None = None, book: Path = ROOT / "book"
) -> Path:
    """Run the notebooks under `profile` and build the book from them.

    Notebooks run in the order of the table of contents, the landing page last, since it shows
    the verdicts of all. With `experiments` only their pages and the prose are in the book.

    Args:
        profile: name of a file in ``profiles/``, without its ending, or the path of any other.
        experiments: names of notebooks; None means all in the table of contents.
        book: the folder of ``_config.yml`` and ``_toc.yml``; pages are built inside it.

    Returns:
        The first page of the built book.

    Raises:
        ReproducerError: unknown profile or experiment, a notebook that is missing or fails, a
            page with a broken reference.
    """
    profile = _for_notebooks(profile)
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    known = notebooks_in(toc)
    for name in experiments or ():
        require_name("experiment", name, known)
    chosen = [name for name in known if experiments is None or name in experiments]
    for name in chosen:
        if not (ROOT / "notebooks" / f"{name}.ipynb").exists():
            raise ReproducerError(f"expected notebooks/{name}.ipynb, which _toc.yml names")

    executed = book / EXECUTED
    shutil.rmtree(executed, ignore_errors=True)
    executed.mkdir(parents=True)
    with _plain_kernels():
        _run_notebooks([*chosen, LANDING], profile, executed)
    files = book / "_extra" / FILES
    copy_files(files, chosen)
    for name in [*chosen, LANDING]:
        prepare(executed / f"{name}.ipynb", [*chosen, LANDING], files)
    write_gallery(executed, [name for name in chosen if name in EXPERIMENTS])
    (executed / "_toc.yml").write_text(yaml.safe_dump(_only(toc, chosen), sort_keys=False))
    _copy_mathjax(book / "_extra" / "mathjax")
    return _build_pages(book)


def _for_notebooks(profile: str) -> str:
    """The profile as a notebook can name it from its own folder; raises if it cannot be read."""
    profile_overrides(profile)
    path = profile_file(profile)
    return path.stem if path.parent == ROOT / "profiles" else str(path)


def notebooks_in(toc: dict) -> list[str]:
    """The experiments that a table of contents names, in its order, without the landing page."""
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [file.removeprefix(EXECUTED) for file in files if file.startswith(EXECUTED)]


def _only(toc: dict, chosen: list[str]) -> dict:
    """The table of contents with the prose pages and the chosen experiments."""
    parts = []
    for part in toc["parts"]:
        left = [
            chapter
            for chapter in part["chapters"]
            if not chapter["file"].startswith(EXECUTED)
            or chapter["file"].removeprefix(EXECUTED) in chosen
        ]
        if left:
            parts.append({**part, "chapters": left})
    return {**toc, "parts": parts}


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Kernels of this environment, without the user's start-up scripts or display settings."""
    # The path of a socket has a hundred bytes at most.
    short = None if len(tempfile.gettempdir()) < LONGEST_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(dir=short) as ipython:
        settings = Path(ipython, "profile_default", "ipython_kernel_config.py")
        settings.parent.mkdir()
        settings.write_text(KERNEL_SETTINGS)
        ours = {
            "IPYTHONDIR": ipython,
            "JUPYTER_RUNTIME_DIR": ipython,
            "JUPYTER_PREFER_ENV_PATH": "1",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYTHONWARNINGS": "ignore:IProgress not found",  # ipywidgets are not wanted here
        }
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _run_notebooks(names: list[str], profile: str, executed: Path) -> None:
    """Run the notebooks, the last after all others.

    Where results are shipped a notebook only reads them: then one runs on each core. Fits use all
    cores by themselves.
    """
    *others, last = [
        (name, profile, executed, f"[{i}/{len(names)}]") for i, name in enumerate(names, start=1)
    ]
    if profile == SHIPPED:
        workers = min(os.cpu_count() or 1, MOST_AT_A_TIME)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=stop_on_signals) as pool:
            try:
                for done in [pool.submit(_run_notebook, *job) for job in others]:
                    done.result()
            except Stopped:
                pool.shutdown(wait=False, cancel_futures=True)
                # Who sent the signal to this process alone did not stop its workers.
                for worker in multiprocessing.active_children():
                    worker.terminate()
                raise
    else:
        for job in others:
            _run_notebook(*job)
    _run_notebook(*last)


def _run_notebook(name: str, profile: str, executed: Path, count: str) -> None:
    """Run one notebook into `executed`; its progress bars go to our standard error."""
    print(f"{count} {name} …", flush=True)
    begin = time.monotonic()
    output = executed / f"{name}.ipynb"
    try:
        papermill.execute_notebook(
            ROOT / "notebooks" / f"{name}.ipynb",
            output,
            parameters={"profile": profile},
            cwd=ROOT / "notebooks",
            kernel_name="python3",
            progress_bar=False,
            stderr_file=sys.stderr,
            config=_own_sockets(name),
        )
    except PapermillExecutionError as error:
        raise ReproducerError(
            f"notebook {name} failed in cell [{error.exec_count}] with {error.ename}: "
            f"{error.evalue} (see {output})"
        ) from error
    except DeadKernelError as error:
        raise ReproducerError(
            f"notebook {name} was stopped, by an interrupt or for lack of memory; what it had "
            "solved is stored, and the next run goes on from there"
        ) from error
    print(f"{count} {name}: {time.monotonic() - begin:.0f} s", flush=True)


def _own_sockets(name: str) -> Config:
    """Talk with a notebook's kernel through Unix sockets in a folder of our own.

    Of TCP ports, a kernel is told some that were free a moment before; where several start at
    once, another one may have them by then, and the kernel dies.
    """
    connection = Path(os.environ["JUPYTER_RUNTIME_DIR"], f"{name}.json")
    return Config(KernelManager={"transport": "ipc", "connection_file": str(connection)})


def _copy_mathjax(target: Path) -> None:
    """Copy what pages need of MathJax next to them, from the installed package."""
    package = importlib.metadata.distribution(MATHJAX)
    source = Path(str(package.locate_file(MATHJAX))) / "static" / "mathjax"
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy(source / part, target / part)


def _build_pages(book: Path) -> Path:
    """Build the pages; a missing citation, figure, reference or number is an error."""
    print("building the pages …", flush=True)
    begin = time.monotonic()
    toc = book / EXECUTED / "_toc.yml"
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*program, "build", str(book), "--toc", str(toc)]
    # Always all pages: numbers that one page takes from another would go stale.
    flags = ["-W", "-n", "--keep-going", "--all"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        causes = [line for line in lines if "WARNING" in line or "ERROR" in line]
        raise ReproducerError("the pages have faults:\n" + "\n".join(causes or lines[-20:]))
    mend(book / "_build" / "html")
    print(f"built the pages: {time.monotonic() - begin:.0f} s", flush=True)
    return book / "_build" / "html" / "index.html"

"""`codemeta.json`: what `CITATION.cff` and `pyproject.toml` say of the project, as CodeMeta 3.0.

Catalogues of research software read it. `python -m reproducer.app.codemeta` writes it anew.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import yaml

from reproducer.paths import ROOT

FILE = ROOT / "codemeta.json"
CONTEXT = "https://w3id.org/codemeta/3.0"


def codemeta() -> dict[str, Any]:
    """The content of `codemeta.json`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return {
        "@context": CONTEXT,
        "@type": "SoftwareSourceCode",
        "name": project["name"],
        "alternateName": citation["title"],
        "description": citation["abstract"],
        "version": project["version"],
        "license": f"https://spdx.org/licenses/{project['license']}",
        "author": [_person(author) for author in citation["authors"]],
        "keywords": project["keywords"],
        "programmingLanguage": "Python",
        "runtimePlatform": f"Python {project['requires-python']}",
        "referencePublication": [_paper(paper) for paper in citation["references"]],
    }


def _person(author: dict[str, str]) -> dict[str, str]:
    """A person, or what has one name: a group."""
    if "name" in author:
        return {"@type": "Organization", "name": author["name"]}
    names = {"givenName": author["given-names"], "familyName": author["family-names"]}
    return {"@type": "Person"} | names


def _paper(paper: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "ScholarlyArticle",
        "name": paper["title"],
        "author": [_person(author) for author in paper["authors"]],
        "datePublished": str(paper["year"]),
        "identifier": [entry["value"] for entry in paper["identifiers"]],
    }


if __name__ == "__main__":
    text = json.dumps(codemeta(), indent=2, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")

// Moves the mark along the paths between two solutions as the slider says.
(() => {
  const walk = document.currentScript.closest(".walk");
  const numbers = JSON.parse(walk.querySelector("[type='application/json']").textContent);
  const text = walk.querySelector("select");
  const slider = walk.querySelector("input");
  const plot = walk.querySelector("[data-box]");
  const [left, top, width, height] = plot.dataset.box.split(" ").map(Number);
  const x = (i) => left + width * numbers.t[i];
  const y = (accuracy) => top + height * (1 - accuracy);

  const show = () => {
    const at = Number(slider.value);
    const chosen = numbers.accuracy[text.value];
    slider.setAttribute("aria-valuetext", `t = ${numbers.t[at]}`);
    walk.querySelector("[data-t]").textContent = numbers.t[at];
    plot.querySelector("line").setAttribute("x1", x(at));
    plot.querySelector("line").setAttribute("x2", x(at));
    for (const [path, accuracy] of Object.entries(chosen)) {
      const part = (name) => walk.querySelector(`${name}[data-path="${path}"]`);
      const points = accuracy.map((value, i) => `${x(i)},${y(value)}`);
      part("polyline").setAttribute("points", points.join(" "));
      part("circle").setAttribute("cx", x(at));
      part("circle").setAttribute("cy", y(accuracy[at]));
      part("strong").textContent = accuracy[at].toFixed(2);
    }
  };

  slider.addEventListener("input", show);
  text.addEventListener("change", show);
  show();
  walk.hidden = false;
})();

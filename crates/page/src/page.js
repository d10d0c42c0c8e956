"use strict";
// One formula is shown at a time: a click on a row or a point shows another one. The pictures of
// its predictions are drawn here, of the residuals in the page's data.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const digits = (value, n = 5) => (value === null ? "undefined" : String(+value.toPrecision(n)).replace("-", "−"));
  document.body.classList.add("js");

  let shown = data.shown;
  function show(index) {
    if (!document.querySelector(`[data-model="${index}"]`)) return;
    shown = index;
    for (const part of all("[data-model]")) part.classList.toggle("shown", +part.dataset.model === index);
    for (const mark of all("[data-point]")) {
      const current = +mark.dataset.point === index;
      mark.classList.toggle("current", current);
      const link = mark.matches("a") ? mark : mark.querySelector("a");
      if (current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    draw();
  }
  function go(index) {
    show(index);
    history.replaceState(null, "", `#${index}`);
  }
  const ofHash = () => (/^#\d+$/.test(location.hash) ? +location.hash.slice(1) : data.shown);
  for (const mark of all("[data-point]")) {
    mark.addEventListener("click", (event) => {
      event.preventDefault();
      go(+mark.dataset.point);
    });
  }
  const count = all("tr[data-point]").length;
  for (const place of all("#front, #formulas")) {
    place.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      go(Math.min(Math.max(shown + step, 0), count - 1));
      place.querySelector(`a[data-point="${shown}"], [data-point="${shown}"] a`).focus();
    });
  }
  addEventListener("hashchange", () => show(ofHash()));

  // Texts to copy: one language for all formulas.
  function speak(language) {
    for (const text of all(".texts figure")) text.classList.toggle("shown", text.dataset.language === language);
    for (const tab of all("[data-speak]")) tab.setAttribute("aria-pressed", tab.dataset.speak === language);
  }
  for (const tab of all("[data-speak]")) tab.addEventListener("click", () => speak(tab.dataset.speak));
  if (all("[data-speak]").length) speak(all("[data-speak]")[0].dataset.speak);
  for (const button of all(".texts button")) {
    button.addEventListener("click", async () => {
      const text = button.parentNode.querySelector("pre");
      try {
        await navigator.clipboard.writeText(text.textContent);
      } catch {
        // Not allowed in files that some browsers open: the old way.
        getSelection().selectAllChildren(text);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1200);
    });
  }

  // Pictures of points.
  const W = 520, H = 320, LEFT = 70, RIGHT = 14, TOP = 14, BOTTOM = 44;
  const picture = document.getElementById("points");
  const told = document.getElementById("told");
  const column = document.getElementById("column");
  let kind = "fit";
  let points = [];
  function range(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    if (!(low <= high)) [low, high] = [0, 1];
    const room = 0.04 * (high - low) || Math.abs(high) * 0.1 || 1;
    return [low - room, high + room];
  }
  function ticks([low, high], n) {
    const raw = (high - low) / n;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
    return found;
  }
  function dots(list, name) {
    const width = list.length > 800 ? 3 : list.length > 200 ? 4 : 6;
    const d = list.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
    return `<path class="points ${name}" stroke-width="${width}" d="${d}"/>`;
  }
  function draw() {
    if (!picture) return;
    const { y, x, residuals, total } = data.rows;
    const left = residuals[shown];
    const fit = y.map((value, k) => (value === null || left[k] === null ? null : value - left[k]));
    const name = data.names[+column.value];
    const input = x[+column.value];
    const target = data.target;
    column.hidden = kind === "fit" || !data.names.length;
    const [xs, ys, xLabel, yLabel] = {
      fit: [y, fit, target, `prediction of ${target}`],
      left: [column.value === "fit" ? fit : input, left, column.value === "fit" ? `prediction of ${target}` : name, "residual"],
      data: [column.value === "fit" ? fit : input, fit, column.value === "fit" ? `prediction of ${target}` : name, target],
    }[kind];
    const both = kind === "fit" ? [...y, ...fit] : null;
    const xr = range(both || xs);
    const yr = range(both || (kind === "data" ? [...y, ...fit] : kind === "left" ? [...ys, 0] : ys));
    const px = (v) => LEFT + ((v - xr[0]) / (xr[1] - xr[0])) * (W - LEFT - RIGHT);
    const py = (v) => TOP + ((yr[1] - v) / (yr[1] - yr[0])) * (H - TOP - BOTTOM);
    let svg = "";
    for (const t of ticks(yr, 5)) {
      svg += `<line class="grid" x1="${LEFT}" x2="${W - RIGHT}" y1="${py(t)}" y2="${py(t)}"/>`;
      svg += `<text class="tick" text-anchor="end" x="${LEFT - 7}" y="${py(t) + 4}">${digits(t, 3)}</text>`;
    }
    for (const t of ticks(xr, 6)) {
      svg += `<text class="tick" text-anchor="middle" x="${px(t)}" y="${H - BOTTOM + 18}">${digits(t, 3)}</text>`;
    }
    svg += `<line class="axis" x1="${LEFT}" x2="${W - RIGHT}" y1="${H - BOTTOM}" y2="${H - BOTTOM}"/>`;
    svg += `<text class="label" text-anchor="middle" x="${(LEFT + W - RIGHT) / 2}" y="${H - 6}">${escaped(xLabel)}</text>`;
    svg += `<text class="label" text-anchor="middle" transform="translate(12 ${(TOP + H - BOTTOM) / 2}) rotate(-90)">${escaped(yLabel)}</text>`;
    if (kind === "fit") svg += `<line class="guide" x1="${px(xr[0])}" y1="${py(xr[0])}" x2="${px(xr[1])}" y2="${py(xr[1])}"/>`;
    if (kind === "left") svg += `<line class="guide" x1="${LEFT}" x2="${W - RIGHT}" y1="${py(0)}" y2="${py(0)}"/>`;
    const placed = (values) => {
      const list = [];
      xs.forEach((v, k) => {
        if (v !== null && values[k] !== null) list.push([px(v), py(values[k]), k]);
      });
      return list;
    };
    points = placed(ys);
    if (kind === "data") svg += dots(placed(y), "truth");
    svg += dots(points, "") + '<circle class="near" r="6" visibility="hidden"/>';
    picture.innerHTML = svg;
    const unknown = fit.filter((value) => value === null).length;
    let text = total > y.length ? `${y.length} of ${total} rows. ` : "";
    if (unknown) text += `The formula is undefined for ${unknown} of them. `;
    if (kind === "data") text += "Grey: the data; blue: the formula. ";
    told.dataset.text = text + "Point at a row to read it.";
    told.textContent = told.dataset.text;
  }
  function point(event) {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * W;
    const y = ((event.clientY - box.top) / box.height) * H;
    let best = null, distance = 18 ** 2;
    for (const p of points) {
      const d = (p[0] - x) ** 2 + (p[1] - y) ** 2;
      if (d < distance) [best, distance] = [p, d];
    }
    const ring = picture.querySelector(".near");
    ring.setAttribute("visibility", best ? "visible" : "hidden");
    if (!best) return void (told.textContent = told.dataset.text);
    ring.setAttribute("cx", best[0]);
    ring.setAttribute("cy", best[1]);
    const k = best[2];
    const { y: truth, x: inputs, residuals, total } = data.rows;
    const row = Math.floor((k * total) / truth.length);
    const values = data.names.slice(0, 8).map((name, c) => `${name} ${digits(inputs[c][k])}`);
    const left = residuals[shown][k];
    told.textContent = `Row ${row + 1}: ${data.target} ${digits(truth[k])}, predicted ${digits(truth[k] - left)}, residual ${digits(left, 3)}` +
      ` (${values.join(", ")}${data.names.length > 8 ? ", …" : ""})`;
  }
  if (picture) {
    picture.addEventListener("pointermove", point);
    picture.addEventListener("pointerdown", point);
    column.addEventListener("change", draw);
    for (const tab of all("[data-kind]")) {
      tab.addEventListener("click", () => {
        kind = tab.dataset.kind;
        for (const other of all("[data-kind]")) other.setAttribute("aria-pressed", other === tab);
        draw();
      });
    }
  }
  show(ofHash());
})();

"use strict";
// A link may lead into something folded.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
// The same link may be followed twice.
addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest('a[href^="#"]');
  if (link && link.hash === location.hash) unfold();
});
unfold();

const dialog = document.createElement("dialog");
document.body.append(dialog);

// What is folded for the screen is read on paper, but for the rows.
let folded = [];
addEventListener("beforeprint", () => {
  dialog.close();
  folded = [...document.querySelectorAll("main details:not([open])")].filter((own) => !own.closest(".rows"));
  for (const own of folded) own.open = true;
});
addEventListener("afterprint", () => { for (const own of folded) own.open = false; });

function button(name, label, act) {
  const own = document.createElement("button");
  own.type = "button";
  own.textContent = name;
  if (label !== name) own.setAttribute("aria-label", label);
  own.addEventListener("click", act);
  return own;
}

function zoomable(view) {
  const svg = view.querySelector("svg");
  const whole = svg.getAttribute("viewBox").split(" ").map(Number);
  const title = svg.querySelector("title").textContent;
  let box = whole.slice();

  function show() {
    box[2] = Math.min(whole[2], Math.max(whole[2] / 40, box[2]));
    box[3] = box[2] * whole[3] / whole[2];
    for (const side of [0, 1]) box[side] = Math.min(whole[side + 2] - box[side + 2], Math.max(0, box[side]));
    svg.setAttribute("viewBox", box.map((x) => Math.round(x)).join(" "));
    const near = box[2] < whole[2] || view.parentElement === dialog;
    view.classList.toggle("near", near);
    view.classList.toggle("far", !near);
  }
  // The place of the drawing beneath a point of the screen.
  function beneath(x, y) {
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  }
  function zoom(factor, at) {
    const [x, y] = at || [box[0] + box[2] / 2, box[1] + box[3] / 2];
    const width = Math.min(whole[2], Math.max(whole[2] / 40, box[2] / factor));
    const real = box[2] / width;
    box = [x - (x - box[0]) / real, y - (y - box[1]) / real, width, box[3] / real];
    show();
  }
  function move(x, y) { box[0] += x; box[1] += y; show(); }
  function reset() { box = whole.slice(); show(); }

  function full() {
    const mark = document.createComment("");
    view.replaceWith(mark);
    dialog.setAttribute("aria-label", title);
    dialog.replaceChildren(tools(true), view);
    dialog.addEventListener("close", () => { mark.replaceWith(view); reset(); view.focus(); }, { once: true });
    dialog.showModal();
    reset();
    view.focus();
  }
  function tools(inside) {
    const bar = document.createElement("div");
    bar.className = "tools";
    bar.append(
      button("+", "Zoom in: " + title, () => zoom(1.5)),
      button("−", "Zoom out: " + title, () => zoom(1 / 1.5)),
      button("Whole", "Whole: " + title, reset),
      inside ? button("Close", "Close", () => dialog.close()) : button("Full size", "Full size: " + title, full),
    );
    return bar;
  }

  view.tabIndex = 0;
  view.setAttribute("role", "group");
  view.setAttribute("aria-label", title + ": keys + − 0 zoom, arrows move");
  view.after(tools(false));
  show();

  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = box[2] / 8, near = box[2] < whole[2];
    const acts = {
      "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "−": () => zoom(0.8), "0": reset,
      ...(near && {
        ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0),
        ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step),
      }),
    };
    if (acts[event.key]) { acts[event.key](); event.preventDefault(); }
  });
  // A wheel over a figure that nobody has chosen scrolls the page. A pinch of a touchpad comes as a wheel with Ctrl.
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && view.parentElement !== dialog && document.activeElement !== view) return;
    if (event.deltaY === 0) return;
    if (event.deltaY > 0 && box[2] === whole[2] && !event.ctrlKey && view.parentElement !== dialog) return;
    event.preventDefault();
    zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 200), beneath(event.clientX, event.clientY));
  }, { passive: false });

  const fingers = new Map();
  view.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    if (fingers.size > 1 || box[2] < whole[2]) view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 1) {
      if (box[2] === whole[2]) return;
      const [from, to] = [beneath(last.clientX, last.clientY), beneath(event.clientX, event.clientY)];
      move(from[0] - to[0], from[1] - to[1]);
    } else if (fingers.size === 2) {
      const other = [...fingers.values()].find((own) => own.pointerId !== event.pointerId);
      const apart = (own) => Math.hypot(own.clientX - other.clientX, own.clientY - other.clientY);
      const middle = [(event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2];
      if (apart(last) > 0) zoom(apart(event) / apart(last), beneath(...middle));
    }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    view.addEventListener(name, (event) => { if (name !== "pointerleave" || !view.hasPointerCapture(event.pointerId)) fingers.delete(event.pointerId); });
  }
}

for (const view of document.querySelectorAll(".view")) zoomable(view);

// The view of MeshView: it shows the drawing that the model made, and opens what is clicked in it.

// Takes over what differs of a new drawing. The parts stay, and with them the focus that one of them has.
function renew(old, next) {
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || old.dataset?.part !== next.dataset?.part) {
    old.replaceWith(next);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  const parts = [...next.childNodes];
  [...old.childNodes].slice(parts.length).forEach((each) => each.remove());
  parts.forEach((each, at) => (old.childNodes[at] ? renew(old.childNodes[at], each) : old.append(each)));
}

function render({ model, el }) {
  const { root, body, prefix, stop } = frame(model, el);
  root.classList.add("labkit-mesh-view");
  const drawing = h("div", { class: "labkit-wide labkit-drawing labkit-mesh" });
  const inner = h("div", { class: "labkit-wide", role: "group", "aria-label": "The picture as a table", tabindex: "0" });
  const details = h("details", {}, h("summary", {}, "The same as a table"), inner);
  const about = h("div", { class: "labkit-concern", role: "region", "aria-labelledby": `${prefix}part`, hidden: true });
  const { row, stops } = watchButton(model);
  body.append(
    h("p", { class: "labkit-help" }, "Line width: share of the requests in the last seconds; its red part: came to an error. p99: of what Envoy waited for its service. Crossed out: ejected. " +
      "A click on a box or a line (or the arrow keys and Enter) opens its YAML and what Envoy has of it."),
    h("figure", {}, drawing, details),
    about,
    row,
  );
  const fill = () => details.open && inner.replaceChildren(tableOf(model.get("cells"), ""));
  details.addEventListener("toggle", fill);

  // one of the parts is reached by Tab, the others from there by the arrow keys
  let here = model.get("opened").part || "proxy";
  const parts = () => [...drawing.querySelectorAll("[data-part]")];
  function draw() {
    // the model's own drawing, every text in it escaped there
    const next = new DOMParser().parseFromString(model.get("svg"), "image/svg+xml").documentElement;
    if (next.nodeName !== "svg") return;
    next.setAttribute("role", "group");
    const found = [...next.querySelectorAll("[data-part]")];
    if (!found.some((each) => each.dataset.part === here)) here = found[0]?.dataset.part;
    const opened = model.get("opened").part;
    for (const each of found) {
      const { part, told } = each.dataset;
      const line = part.startsWith("way ") && each.querySelector("path").cloneNode();
      if (line) { // a thin line would be missed
        line.setAttribute("class", "labkit-hit");
        each.prepend(line);
      }
      each.setAttribute("role", "button");
      each.setAttribute("aria-label", told);
      each.setAttribute("aria-expanded", String(part === opened));
      each.setAttribute("tabindex", part === here ? "0" : "-1");
      each.setAttribute("data-lm-suppress-shortcuts", "true");
    }
    if (drawing.firstChild) renew(drawing.firstChild, next);
    else drawing.append(next);
  }
  const open = (part) => {
    here = part;
    act(model, "about", part);
  };
  drawing.addEventListener("click", (event) => {
    const part = event.target.closest("[data-part]");
    if (part) open(part.dataset.part);
  });
  drawing.addEventListener("focusin", (event) => {
    const part = event.target.closest("[data-part]")?.dataset.part;
    if (!part || part === here) return;
    here = part;
    parts().forEach((each) => each.setAttribute("tabindex", each.dataset.part === here ? "0" : "-1"));
  });
  drawing.addEventListener("keydown", (event) => {
    const part = event.target.closest("[data-part]");
    if (!part) return;
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (by) {
      const all = parts();
      all[(all.indexOf(part) + by + all.length) % all.length].focus();
    } else if (event.key === "Enter" || event.key === " ") open(part.dataset.part);
    else return;
    event.preventDefault();
  });

  const listing = (words, label) => h("pre", { class: "labkit-yaml-text", tabindex: 0, role: "region", "aria-label": label }, words);
  function tell() {
    const { title, objects, envoy, part } = model.get("opened");
    draw();
    about.hidden = !title;
    if (!title) return about.replaceChildren();
    const close = () => {
      act(model, "shut");
      parts().find((each) => each.dataset.part === part)?.focus();
    };
    about.replaceChildren(
      h("div", { class: "labkit-row" }, h("h4", { id: `${prefix}part` }, title), h("button", { type: "button", onclick: close }, "Close")),
      h("div", { class: "labkit-pair" },
        h("div", {}, h("p", { class: "labkit-title" }, "The objects that concern it"),
          objects.length ? null : h("p", {}, "None: no rule of Istio is about it."),
          objects.map(([name, text], at) => h("details", { open: at === objects.length - 1 || objects.length < 3 }, h("summary", {}, name), listing(text, name)))),
        h("div", {}, h("p", { class: "labkit-title" }, "What Envoy has of it"),
          envoy ? listing(envoy, "What Envoy has of it") : h("p", {}, "Nothing: it has no cluster and no route for it."))),
    );
  }
  stops.push(follow(model, "svg", draw), follow(model, "opened", tell), follow(model, "cells", fill));
  stops.push(presence(model, root));
  return () => [stop, ...stops].forEach((each) => each());
}

export default { render };

// What views with a moving picture share: the picture with its table, tables of texts, labelled inputs.

function tableOf(cells, caption) {
  const { columns = [], rows = [] } = cells || {};
  return h(
    "table",
    {},
    caption ? h("caption", {}, caption) : null,
    h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))),
  );
}

// The picture, and the same as a table under it. A panel whose plots the browser draws gives a `chart`: it stands in the
// picture's place while `charted` says so, and `marks` is how many lines it has.
function pictureOf(model, prefix, chart = null, charted = () => null) {
  const caption = h("figcaption");
  const place = h("div");
  const inner = h("div", { class: "labkit-wide", role: "group", "aria-label": "The picture as a table", tabindex: "0" });
  const details = h("details", {}, h("summary", {}, "The same as a table"), inner);
  const figure = h("figure", { class: "labkit-plot", hidden: true }, caption, chart?.node, place, details);
  const draw = () => {
    const drawn = chart && charted();
    const picture = model.get("picture");
    if (chart) chart.node.hidden = !drawn;
    place.hidden = Boolean(drawn);
    if (place.hidden) place.replaceChildren();
    else if (picture) place.innerHTML = picture; // made in the kernel, with every word in it escaped
    if (!drawn && !picture) return;
    caption.textContent = model.get("caption");
    chart?.label(model.get("caption"));
    figure.hidden = false;
    figure.setAttribute("data-marks", drawn ? drawn.marks : model.get("marks"));
  };
  const fill = () => details.open && inner.replaceChildren(tableOf(model.get("cells"), ""));
  details.addEventListener("toggle", fill);
  const stops = [follow(model, ["picture", "caption"], draw), follow(model, "cells", fill)];
  return { figure, draw, stop: () => stops.forEach((each) => each()) };
}

// A number with a label above it and a line of help under it; a wrong one is told to the model, which says why.
function numberField(model, prefix, name, label, help, limits) {
  const id = `${prefix}${name}`;
  const input = h("input", { type: "number", id, "aria-describedby": `${id}-help`, ...limits });
  const field = h(
    "div",
    { class: "labkit-field" },
    h("label", { for: id }, label),
    input,
    h("small", { id: `${id}-help` }, help),
  );
  input.addEventListener("change", () => act(model, "choose", name, input.value));
  const stop = follow(model, name, () => {
    if (document.activeElement !== input || input.value === "") input.value = model.get(name);
  });
  return { field, input, stop };
}

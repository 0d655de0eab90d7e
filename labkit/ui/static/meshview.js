// The view of MeshView: it shows the drawing that the model made.

function render({ model, el }) {
  const { root, body, stop } = frame(model, el);
  const drawing = h("div", { class: "labkit-wide labkit-drawing labkit-mesh" });
  const inner = h("div", { class: "labkit-wide", role: "group", "aria-label": "The picture as a table", tabindex: "0" });
  const details = h("details", {}, h("summary", {}, "The same as a table"), inner);
  const { row, stops } = watchButton(model);
  body.append(
    h("p", { class: "labkit-help" }, "Line width: share of the requests in the last seconds. Crossed out: ejected."),
    h("figure", {}, drawing, details),
    row,
  );
  const fill = () => details.open && inner.replaceChildren(tableOf(model.get("cells"), ""));
  details.addEventListener("toggle", fill);
  // the model's own drawing, every text in it escaped there
  stops.push(follow(model, "svg", () => (drawing.innerHTML = model.get("svg"))), follow(model, "cells", fill));
  stops.push(presence(model, root));
  return () => [stop, ...stops].forEach((each) => each());
}

export default { render };

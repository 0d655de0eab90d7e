// The view of Compare.

function render({ model, el }) {
  const { body, prefix, stop } = frame(model, el);
  const choice = h(
    "select",
    { id: `${prefix}by` },
    ...Object.entries(model.get("choices")).map(([value, label]) => h("option", { value }, label)),
  );
  choice.addEventListener("change", () => act(model, "choose", choice.value));
  const picture = pictureOf(model, prefix);
  const verdict = h("p", { class: "labkit-verdict", role: "status" });
  body.append(
    h("div", { class: "labkit-row", style: "align-items:center" }, h("label", { for: choice.id }, "Compare by"), choice),
    picture.figure,
    verdict,
  );
  const stops = [
    follow(model, "by", () => (choice.value = model.get("by"))),
    follow(model, "verdict", () => (verdict.textContent = model.get("verdict"))),
  ];
  return () => [stop, picture.stop, ...stops].forEach((each) => each());
}

export default { render };

// The view of BreakerTimeline.

function render({ model, el }) {
  const { root, body, prefix, stop } = frame(model, el);
  const picture = pictureOf(model, prefix);
  const stops = [picture.stop];
  const help = "A bar: the pod is out of the pool, n × baseEjectionTime. Under it: requests refused by a limit, and retries.";
  body.append(h("p", { class: "labkit-help" }, help), picture.figure);
  if (model.get("live")) {
    const button = watchButton(model);
    body.append(button.row);
    stops.push(...button.stops, presence(model, root));
  }
  return () => [stop, ...stops].forEach((each) => each());
}

export default { render };

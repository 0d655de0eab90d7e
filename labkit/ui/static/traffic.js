// The view of TrafficPanel.

const KINDS = [
  ["curl", "curl, one after the other"],
  ["fortio", "Fortio, a load"],
  ["stream", "a steady stream, until stopped"],
];

function render({ model, el }) {
  const { root, body, prefix, stop } = frame(model, el);
  const fields = {
    requests: numberField(model, prefix, "requests", "requests (-n)", "in total", { min: 1, max: 100000, step: 1 }),
    connections: numberField(model, prefix, "connections", "connections (-c)", "at the same time", { min: 1, max: 64, step: 1 }),
    qps: numberField(model, prefix, "qps", "requests per second (-qps)", "0: as fast as possible", { min: 0, max: 10000, step: 1 }),
    seconds: numberField(model, prefix, "seconds", "seconds (-t)", "0: until all requests are sent", { min: 0, max: 600, step: 1 }),
    rate: numberField(model, prefix, "rate", "stream rate", "requests per second, 1 to 500", { min: 1, max: 500, step: 1 }),
  };
  const shown = { curl: ["requests"], fortio: ["connections", "qps", "requests", "seconds"], stream: ["rate"] };

  const radios = KINDS.map(([value, label]) => {
    const input = h("input", { type: "radio", name: `${prefix}kind`, id: `${prefix}kind-${value}`, value });
    input.addEventListener("change", () => act(model, "choose", "kind", value));
    return [input, h("label", { class: "labkit-radio", for: input.id }, input, label)];
  });
  const command = h("code", { class: "labkit-command" });
  const start = h("button", { type: "button", class: "labkit-main", onclick: () => act(model, "start") }, "Start");
  const end = h("button", { type: "button", onclick: () => act(model, "stop") }, "Stop");
  const bar = h("progress", { max: 1, "aria-label": "How much of the run is done" });
  const status = h("span", { class: "labkit-numbers labkit-status" });
  const choice = h(
    "select",
    { id: `${prefix}plot` },
    ...Object.entries(model.get("plots")).map(([value, label]) => h("option", { value }, label)),
  );
  choice.addEventListener("change", () => act(model, "choose", "plot", choice.value));
  const run = runOf(model, () => {
    chart.refresh();
    picture.draw();
  });
  const chart = chartOf((from, until) => run.shown(model.get("plot"), from, until));
  const picture = pictureOf(model, prefix, chart, () => run.drawn(model.get("plot")));
  const counted = h("div", { class: "labkit-counted" });
  const verdict = h("p", { class: "labkit-verdict", role: "status" });

  body.append(
    h("fieldset", {}, h("legend", {}, "What to send"), ...radios.map((pair) => pair[1])),
    h("div", { class: "labkit-row" }, ...Object.values(fields).map((one) => one.field)),
    h("div", { class: "labkit-help" }, "The same by hand, where the name leads to the gateway:"),
    command,
    h("div", { class: "labkit-row", style: "align-items:center" }, start, end, bar, status),
    h("div", { class: "labkit-row", style: "align-items:center" }, h("label", { for: `${prefix}plot` }, "Plot"), choice),
    picture.figure,
    counted,
    verdict,
  );

  let sent = model.get("running"); // a view that is made after the end has nothing to tell: `rest` makes a new view
  const stops = [
    follow(model, "kind", () => {
      for (const [input] of radios) input.checked = input.value === model.get("kind");
      for (const [name, one] of Object.entries(fields)) one.field.hidden = !shown[model.get("kind")].includes(name);
    }),
    follow(model, "command", () => (command.textContent = model.get("command"))),
    follow(model, "running", () => {
      const running = model.get("running");
      // the one that had the focus gives it to the other: a disabled button loses it to the page
      const focused = document.activeElement === start || document.activeElement === end;
      start.disabled = running;
      end.disabled = !running;
      if (focused) (running ? end : start).focus();
      root.setAttribute("data-running", running);
      if (sent && !running && !root.contains(document.activeElement)) act(model, "rest");
      sent = running;
    }),
    follow(model, ["progress", "running"], () => {
      const part = model.get("progress");
      if (part >= 0) bar.value = part;
      else if (model.get("running")) bar.removeAttribute("value");
      else bar.value = 0;
    }),
    follow(model, "status", () => (status.textContent = model.get("status"))),
    follow(model, "plot", () => {
      choice.value = model.get("plot");
      chart.refresh();
      picture.draw();
    }),
    follow(model, "counted", () => {
      const cells = model.get("counted");
      counted.replaceChildren(...(cells.columns ? [tableOf(cells, "Beside the proxy's own counters")] : []));
    }),
    follow(model, "verdict", () => (verdict.textContent = model.get("verdict"))),
  ];
  run.ask();
  return () => [stop, picture.stop, run.stop, chart.stop, ...stops, ...Object.values(fields).map((one) => one.stop)].forEach((each) => each());
}

export default { render };

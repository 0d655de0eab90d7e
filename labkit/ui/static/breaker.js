// The view of BreakerTimeline.

// What the chart needs of what the kernel told (breaker.py, `chart`), between two moments: steps end wherever a bar begins
// or ends, and wherever a step of the counters does.
function timelineOf(told, from, until) {
  if (!told.rows?.length) return null;
  const end = told.end;
  const [low, high] = [from ?? 0, until ?? end];
  const edges = Object.values(told.grown)[0]?.map((_, step) => step * told.step) ?? [];
  const all = [low, high, ...edges, ...told.bars.flatMap(([, since, to]) => [since, to])];
  const xs = [...new Set(all)].filter((x) => x >= low && x <= high).sort((a, b) => a - b);
  const starts = xs.slice(0, -1);
  const rows = told.rows.map(([name, short, colour, hatch]) => {
    const grown = told.grown[name];
    return { name, told: short, colour, hatch, ...(grown ? counterOf(name, grown, told.step, starts) : podOf(name, told.bars, starts)) };
  });
  const notes = told.bars.map(([name, since, to, words]) => ({ name, from: since, until: to, words: [words, words.split(" ").slice(0, 2).join(" ")] }));
  return { end, xs, rows, notes, lines: false, marks: told.marks, hatches: told.hatches, finest: 0.1, axis: told.axis, now: "so far" };
}

function podOf(name, bars, starts) {
  const own = bars.filter(([pod]) => pod === name);
  const at = (x) => own.find(([, since, to]) => x >= since && x < to);
  return {
    values: starts.map((x) => (at(x) ? 0.5 : 0)),
    now: own.length === 1 ? "1 ejection" : `${own.length} ejections`,
    say: (step) => (at(starts[step]) ? `out: ${at(starts[step])[3]}` : "in the pool"),
  };
}

function counterOf(name, grown, wide, starts) {
  const total = grown.reduce((sum, n) => sum + n, 0);
  const highest = Math.max(1, ...grown);
  const of = (x) => grown[Math.min(grown.length - 1, Math.floor(x / wide + 1e-6))];
  return {
    values: starts.map((x) => of(x) / highest),
    note: `${total}`,
    now: `${total}`,
    say: (step) => `${of(starts[step])} in ${wide} s`,
  };
}

function render({ model, el }) {
  const { root, body, prefix, stop } = frame(model, el);
  const chart = chartOf((from, until) => timelineOf(model.get("chart"), from, until));
  const charted = () => model.get("chart").rows?.length > 0 && { marks: model.get("chart").marks.length };
  const picture = pictureOf(model, prefix, chart, charted);
  const changed = follow(model, "chart", () => {
    chart.refresh();
    picture.draw();
  });
  const stops = [changed, chart.stop, picture.stop];
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

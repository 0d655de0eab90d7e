// What the kernel has told of a run (labkit/ui/panels/bins.py), and what a plot needs of it: a few hundred steps of shares
// or of percentiles, as wide as there is room and enough requests for.

const MOST_STEPS = 150;
const REQUESTS_A_STEP = 6;
const ASK_AGAIN_MS = 2000;
const WIDER = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

// One view's copy of a run: `changed` is called when something new has come.
function runOf(model, changed) {
  let told = null; // the last message, and in `counts` all of them: by plot, by name, how many requests in each step
  let asked = -Infinity; // when it last asked for all
  const ask = () => {
    if (performance.now() - asked < ASK_AGAIN_MS) return;
    asked = performance.now();
    act(model, "whole");
  };
  const take = (message) => {
    const news = message?.news;
    if (!news) return;
    if (!news.whole && (told?.run !== news.run || told.number + 1 !== news.number)) {
      ask(); // it was not there from the start, or has missed something
      return;
    }
    if (news.whole) asked = -Infinity;
    const counts = news.whole ? {} : told.counts;
    for (const [plot, names] of Object.entries(news.add)) {
      const mine = (counts[plot] ??= {});
      for (const [name, pairs] of Object.entries(names)) {
        const steps = (mine[name] ??= []);
        for (let at = 0; at < pairs.length; at += 2) {
          while (steps.length <= pairs[at]) steps.push(0);
          steps[pairs[at]] += pairs[at + 1];
        }
      }
    }
    const hatches = news.whole ? news.hatches : told.hatches;
    told = { ...news, counts, hatches };
    changed();
  };
  model.on("msg:custom", take);
  const sumOf = (counts) => counts.reduce((sum, steps) => steps.reduce((all, n) => all + n, sum), 0);
  return {
    ask,
    stop: () => model.off("msg:custom", take),
    drawn: (plot) => told && told.counts[plot] && sumOf(Object.values(told.counts.versions)) > 0 && { marks: told.marks.length },
    shown: (plot, from, until) => told && told.counts[plot] && shownOf(told, plot, from, until),
  };
}

function shownOf(told, plot, from, until) {
  const names = Object.entries(told.counts[plot]);
  const end = Math.max(told.end, told.step);
  const first = from === null ? 0 : Math.floor(from / told.step);
  const last = Math.ceil((until ?? end) / told.step);
  const totals = [];
  for (const steps of Object.values(told.counts.versions))
    for (let at = first; at < Math.min(last, steps.length); at += 1) totals[at] = (totals[at] || 0) + steps[at];
  const requests = totals.reduce((sum, n) => sum + n, 0);
  const most = Math.max(4, Math.min(MOST_STEPS, requests / REQUESTS_A_STEP));
  const wide = WIDER.find((times) => (last - first) / times <= most) ?? WIDER.at(-1);
  const begin = Math.floor(first / wide);
  const filled = totals.length ? Math.ceil(Math.min(last, totals.length) / wide) : begin + 1;
  const count = Math.max(1, filled - begin);
  const xs = Array.from({ length: count + 1 }, (_, step) => (begin + step) * wide * told.step);
  const sums = (steps) => {
    const found = new Array(count).fill(0);
    for (let at = Math.max(first, begin * wide); at < Math.min(last, steps.length); at += 1) found[Math.floor(at / wide) - begin] += steps[at] || 0;
    return found;
  };
  const shared = { end, xs, marks: told.marks, hatches: told.hatches, finest: told.step, axis: "since the first request" };
  return plot === "latency" ? { ...shared, ...curves(told, names, sums, count) } : { ...shared, ...shares(told, plot, sums) };
}

// A row a name: which part of each step's requests it got, and at its right of all since the last mark.
function shares(told, plot, sums) {
  const since = told.marks.length ? Math.ceil(told.marks.at(-1)[0] / told.step) : 0;
  const late = (steps) => steps.slice(since).reduce((sum, n) => sum + n, 0);
  const totals = sums([]).map(() => 0);
  let lately = 0;
  for (const steps of Object.values(told.counts[plot])) {
    sums(steps).forEach((n, step) => (totals[step] += n));
    lately += late(steps);
  }
  const rows = told.rows[plot].map(([name, short, colour, hatch]) => {
    const steps = told.counts[plot][name] || [];
    const own = sums(steps);
    const part = lately ? `${((100 * late(steps)) / lately).toFixed(0)} %` : "";
    return {
      name, told: short, colour, hatch,
      values: own.map((n, step) => (totals[step] ? n / totals[step] : null)),
      note: part, now: part,
      say: (step) => (totals[step] ? `${((100 * own[step]) / totals[step]).toFixed(0)} % (${own[step]} of ${totals[step]})` : "no requests"),
    };
  });
  return { rows, lines: false, now: told.marks.length ? "since the last line" : "of all" };
}

// A curve a percentile, of latencies that were counted by size.
function curves(told, names, sums, count) {
  const sized = names.map(([size, steps]) => [told.ratio ** (Number(size) + 0.5), sums(steps)]).sort((a, b) => a[0] - b[0]);
  const totals = new Array(count).fill(0);
  for (const [, own] of sized) own.forEach((n, step) => (totals[step] += n));
  const percentile = (step, part) => {
    let left = part * totals[step];
    for (const [latency, own] of sized) {
      left -= own[step];
      if (own[step] && left <= 1e-9) return latency;
    }
    return null;
  };
  const words = (value) => (value === null ? "no requests" : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`);
  const rows = told.rows.latency.map(([part, short, colour, hatch]) => {
    const values = totals.map((_, step) => percentile(step, Number(part)));
    const latest = values.findLast((value) => value !== null) ?? null;
    return { name: short, told: short, colour, hatch, values, note: short, now: words(latest), say: (step) => words(values[step]) };
  });
  const highest = Math.max(...rows.flatMap((row) => row.values.map((value) => value ?? 0)));
  return { rows, lines: true, top: 1.1 * highest || 1, now: "in the last step; axis: milliseconds" };
}

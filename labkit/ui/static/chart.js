// A plot over time that the browser draws, by uPlot: hover values, a legend to click, zoom, and a line for each mark.
//
//   const chart = chartOf((from, until) => ({xs, rows, lines, top, end, marks, notes}))
//   body.append(chart.node); chart.refresh(); chart.stop()
//
// The function is asked for what is to be seen between two moments (null: all there is), each time that is drawn:
//   end      where time ends; xs: where each step begins, and in the end where the last one ends; finest: no zoom below
//   axis     since when time is counted, in words; now: what the legend speaks of while nobody points at a step
//   rows     {name, told, colour, hatch, values, note, now, say(step)}, from above; a value is 0 to 1, null: nothing known;
//            `note` stands at its right, `now` and `say` are what the legend tells of it now, and of one step
//   lines    true: curves over one axis from 0 to `top`; else each row has a place of its own
//   marks    [[at, what], …]
//   notes    [{name, from, until, words}], words over a part of a row
// Colours are CSS, var(--plot-…) of the page's theme, and drawn anew when the theme changes.

const ROW_PX = 48;
const LINES_PX = 170;
const RING_PX = 17;
const TOLD_MARKS = 3;
const SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
const MINUTES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 3600]; // of time that is told as 2:30
const DASHES = { "": [], "--": [7, 5] };
const ZOOM_HELP = "Drag to zoom, double click for all. By keyboard: ← → a step, + − zoom, 0 all.";

function chartOf(source) {
  const place = h("div", { class: "labkit-chart-place" });
  const probe = h("span", { class: "labkit-chart-probe", "aria-hidden": "true" });
  const legend = h("div", { class: "labkit-keys", role: "group", "aria-label": "Legend: show or hide a row" });
  const when = h("span", { class: "labkit-when labkit-numbers" });
  const all = h("button", { type: "button", class: "labkit-all", hidden: true, onclick: () => zoom(null) }, "Show all");
  const help = h("small", { class: "labkit-help", id: newPrefix() }, ZOOM_HELP);
  const said = h("span", { class: "labkit-chart-said", role: "status" });
  const told = h("ul", { class: "labkit-marks" });
  const area = h(
    "div",
    { class: "labkit-chart", tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-describedby": help.id },
    place,
  );
  const axis = h("p", { class: "labkit-axis" });
  const node = h("div", {}, area, axis, h("div", { class: "labkit-row labkit-chart-below" }, legend, when, all), told, help, said, probe);

  const hidden = new Set();
  const keys = new Map(); // by name: its button in the legend
  let range = null; // what is zoomed into; null: all
  let data = null;
  let shown = []; // the rows that are not hidden
  let plot = null;
  let made = ""; // of which rows the plot was made
  let at = null; // the moment under the cursor, when the keyboard put it there
  let colours = new Map();
  let frameDue = 0;
  let unseen = 0; // frames in a row in which it had no place

  // colours and font of the page, as a canvas wants them

  const colour = (css) => {
    if (!colours.has(css)) {
      probe.style.color = css;
      colours.set(css, getComputedStyle(probe).color);
    }
    return colours.get(css);
  };
  const ink = () => colour("var(--plot-ink)");
  const font = () => {
    const style = getComputedStyle(area);
    return `${style.fontSize} ${style.fontFamily}`;
  };
  const letters = document.createElement("canvas").getContext("2d");
  const wide = (words) => {
    letters.font = font();
    return letters.measureText(words).width;
  };
  // a row's colour with thin lines of paper in it, as in the picture that is kept
  const paint = (row) => {
    const lines = data.hatches[row.hatch];
    if (!lines || data.lines) return colour(row.colour);
    const tile = document.createElement("canvas");
    const size = 8 * uPlot.pxRatio;
    tile.width = tile.height = size;
    const ctx = tile.getContext("2d");
    ctx.scale(uPlot.pxRatio, uPlot.pxRatio);
    ctx.fillStyle = colour(row.colour);
    ctx.fillRect(0, 0, 8, 8);
    ctx.globalAlpha = 0.8;
    ctx.strokeStyle = colour("var(--plot-paper)");
    ctx.stroke(new Path2D(lines));
    return plot.ctx.createPattern(tile, "repeat");
  };

  // the plot

  const base = (number) => shown.length - 1 - number;
  const span = () => range || [0, Math.max(data.end, 0.01)];
  const height = () => (data.lines ? LINES_PX : Math.max(2, shown.length) * ROW_PX) + 40 + rings() * RING_PX;
  // where each mark's number stands over the axes: in the first row of them that is free there
  const ringRows = () => {
    const [from, until] = span();
    const free = [];
    return data.marks.map(([when]) => {
      const x = ((when - from) / (until - from)) * (plot ? plot.bbox.width / uPlot.pxRatio : 800);
      let row = free.findIndex((taken) => x >= taken);
      if (row < 0) row = free.length;
      if (when >= from && when <= until) free[row] = x + 1.5 * RING_PX;
      return Math.min(row, 3);
    });
  };
  const rings = () => (data.marks.length ? Math.max(...ringRows()) + 1 : 0);
  const beyond = () => Math.max(14, ...shown.map((row) => wide(row.note || "") + 12));
  const leftOf = () => {
    const words = data.lines ? [`${data.top.toFixed(0)}00`] : shown.map((row) => row.told);
    return Math.max(...words.map(wide)) + 16;
  };
  const minutes = () => span()[1] >= 180;
  const clock = (seconds) => {
    const [from, until] = span();
    if (!minutes()) return `${Number(seconds.toFixed(until - from < 2 ? 2 : 1))}`;
    return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  };

  const make = () => {
    plot?.destroy();
    const common = { stroke: ink, font: font(), grid: { show: false }, ticks: { stroke: () => colour("var(--plot-line)"), size: 4 } };
    const line = { show: true, stroke: () => colour("var(--plot-line)"), width: 1 };
    plot = new uPlot(
      {
        width: place.clientWidth,
        height: height(),
        padding: [() => 10 + rings() * RING_PX, beyond, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: data.lines }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => zoom(null) } },
        scales: { x: { time: false, range: span }, y: { range: () => [0, data.lines ? data.top : Math.max(1, shown.length)] } },
        axes: [
          { ...common, border: line, size: 36, incrs: () => (minutes() ? MINUTES : SECONDS), values: (_, splits) => splits.map(clock) },
          data.lines
            ? { ...common, border: line, size: leftOf, values: (_, splits) => splits.map((value) => `${value}`) }
            : { ...common, border: line, size: leftOf, ticks: { show: false }, splits: () => shown.map((_, n) => base(n) + 0.43), values: () => shown.map((row) => row.told) },
        ],
        series: [
          {},
          ...shown.map((row, number) =>
            data.lines
              ? { stroke: () => colour(row.colour), width: 2, dash: DASHES[row.hatch], points: { show: false } }
              : {
                  fill: () => paint(row), width: 0, stroke: "transparent", points: { show: false },
                  fillTo: () => base(number), paths: uPlot.paths.stepped({ align: 1 }),
                },
          ),
        ],
        hooks: { drawClear: [drawBases], draw: [drawMarks, drawNotes], setCursor: [tell], setSelect: [selected] },
      },
      values(),
      place,
    );
    plot.root.setAttribute("aria-hidden", "true");
  };

  const values = () => [
    data.xs,
    ...shown.map((row, number) => {
      const own = data.lines ? row.values : row.values.map((value) => (value === null ? null : base(number) + 0.86 * value));
      return [...own, own.length ? own[own.length - 1] : null];
    }),
  ];

  const drawBases = (u) => {
    if (data.lines) return;
    u.ctx.strokeStyle = colour("var(--plot-grid)");
    u.ctx.lineWidth = uPlot.pxRatio;
    for (const number of shown.keys()) {
      const y = u.valToPos(base(number), "y", true);
      stroke(u.ctx, u.bbox.left, y, u.bbox.left + u.bbox.width, y);
    }
  };
  const stroke = (ctx, x0, y0, x1, y1) => {
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
  };
  const write = (u, words, x, y, align, css) => {
    u.ctx.font = font().replace(/^[\d.]+px/, (size) => `${parseFloat(size) * uPlot.pxRatio}px`);
    u.ctx.fillStyle = colour(css);
    u.ctx.textAlign = align;
    u.ctx.textBaseline = "middle";
    u.ctx.fillText(words, x, y);
  };
  const drawMarks = (u) => {
    const [from, until] = span();
    const px = uPlot.pxRatio;
    const rows = ringRows();
    u.ctx.save();
    data.marks.forEach(([when], number) => {
      if (when < from || when > until) return;
      const x = u.valToPos(when, "x", true);
      u.ctx.strokeStyle = u.ctx.fillStyle = ink();
      u.ctx.lineWidth = 1.4 * px;
      u.ctx.setLineDash([5 * px, 3 * px]);
      const y = u.bbox.top - (rows[number] + 0.5) * RING_PX * px;
      stroke(u.ctx, x, y, x, u.bbox.top + u.bbox.height);
      u.ctx.beginPath();
      u.ctx.arc(x, y, 0.47 * RING_PX * px, 0, 2 * Math.PI);
      u.ctx.fill();
      write(u, `${number + 1}`, x, y + px, "center", "var(--plot-paper)");
    });
    u.ctx.restore();
  };
  const drawNotes = (u) => {
    const px = uPlot.pxRatio;
    const right = u.bbox.left + u.bbox.width + 6 * px;
    let last = Infinity; // words at the right of curves must not lie on each other
    u.ctx.save();
    const placed = shown.map((row, number) => {
      const value = data.lines ? row.values.findLast((one) => one !== null) : base(number) + 0.43;
      return [row.note, value];
    });
    for (const [words, value] of placed.filter(([words, value]) => words && value !== undefined).sort((a, b) => a[1] - b[1])) {
      last = Math.min(u.valToPos(value, "y", true), last - 16 * px);
      write(u, words, right, last, "left", "var(--plot-ink)");
    }
    const [from, until] = span();
    for (const { name, from: since, until: to, words } of data.notes || []) {
      const number = shown.findIndex((row) => row.name === name);
      const [x0, x1] = [Math.max(since, from), Math.min(to, until)].map((x) => u.valToPos(x, "x", true));
      const [foot, top] = [base(number), base(number) + 0.43].map((y) => u.valToPos(y, "y", true));
      if (number >= 0 && since > from) {
        u.ctx.fillStyle = colour("var(--plot-paper)"); // what follows at once is another one
        u.ctx.fillRect(x0 - px, top, 2 * px, foot - top);
      }
      const fitting = number < 0 ? "" : words.find((one) => wide(one) * px < x1 - x0 + 6 * px);
      if (fitting) write(u, fitting, (x0 + x1) / 2, u.valToPos(base(number) + 0.62, "y", true), "center", "var(--plot-ink)");
    }
    u.ctx.restore();
  };

  // the legend, and what it tells of one moment

  const stepAt = () => {
    const step = plot?.cursor.idx;
    return step === null || step === undefined || plot.cursor.left < 0 ? null : Math.min(step, data.xs.length - 2);
  };
  const tell = () => {
    if (!data || !plot) return;
    const step = stepAt();
    when.textContent = step === null || step < 0 ? data.now : `at ${clock(data.xs[step])}${minutes() ? "" : " s"}`;
    for (const row of data.rows)
      keys.get(row.name).lastChild.textContent = step === null || step < 0 ? row.now : row.say(step);
  };
  const swatch = (row) =>
    h(
      "svg",
      { viewBox: "0 0 16 8", width: 24, height: 12, "aria-hidden": "true" },
      data.lines
        ? h("line", { x1: 0, x2: 16, y1: 4, y2: 4, style: `stroke:${row.colour};stroke-width:2`, "stroke-dasharray": row.hatch ? "5 3" : null })
        : [
            h("rect", { width: 16, height: 8, style: `fill:${row.colour}` }),
            ...[0, 8].map((x) => h("path", { d: data.hatches[row.hatch] || "", transform: `translate(${x})`, style: "fill:none;stroke:var(--plot-paper)" })),
          ],
    );
  const key = (row) =>
    h(
      "button",
      { type: "button", class: "labkit-key", "data-name": row.name, "aria-pressed": `${!hidden.has(row.name)}`, onclick: () => toggle(row.name) },
      swatch(row),
      h("span", {}, row.told),
      h("span", { class: "labkit-numbers" }),
    );
  const toggle = (name) => {
    if (!hidden.delete(name)) hidden.add(name);
    keys.get(name).setAttribute("aria-pressed", `${!hidden.has(name)}`);
    refresh();
  };
  const renewLegend = () => {
    const names = JSON.stringify(data.rows.map((row) => [row.name, row.told, row.colour]));
    if (legend.dataset.names === names) return;
    legend.dataset.names = names;
    const focused = legend.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    keys.clear();
    for (const row of data.rows) keys.set(row.name, key(row));
    legend.replaceChildren(...keys.values());
    keys.get(focused)?.focus();
  };
  const renewMarks = () => {
    const lines = data.marks.map(([when, what], number) => `${number + 1}: ${what}, at ${clock(when)}${minutes() ? "" : " s"}`);
    const more = lines.length - TOLD_MARKS;
    const words = more > 0 ? [`(line${more > 1 ? "s 1 to" : ""} ${more}: see the table)`, ...lines.slice(more)] : lines;
    if (told.dataset.words === words.join("\n")) return;
    told.dataset.words = words.join("\n");
    told.replaceChildren(...words.map((line) => h("li", {}, line)));
  };

  // zoom

  const selected = (u) => {
    if (u.select.width < 4) return;
    const [from, until] = [u.select.left, u.select.left + u.select.width].map((x) => u.posToVal(x, "x"));
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    zoom([from, until]);
  };
  const zoom = (to) => {
    const least = 2 * data.finest;
    range = to && [Math.max(0, to[0]), Math.min(data.end, Math.max(to[1], to[0] + least))];
    if (range && range[0] <= 0 && range[1] >= data.end) range = null;
    const focused = document.activeElement === all;
    all.hidden = range === null;
    if (focused && all.hidden) area.focus();
    refresh();
  };
  const closer = (times) => {
    const [from, until] = span();
    const middle = at ?? (from + until) / 2;
    const length = (until - from) * times;
    const start = Math.min(Math.max(0, middle - length / 2), Math.max(0, data.end - length));
    zoom([start, start + length]);
  };
  const move = (steps) => {
    const last = data.xs.length - 2;
    const from = stepAt() ?? (steps > 0 ? -1 : last + 1);
    const step = Math.max(0, Math.min(last, from + steps));
    at = (data.xs[step] + data.xs[step + 1]) / 2;
    point();
    said.textContent = [when.textContent, ...shown.map((row) => `${row.told} ${row.say(step)}`)].join(", ");
  };
  // a cursor that the keyboard put somewhere stays at its moment while time goes on
  const point = () => {
    if (at !== null) plot.setCursor({ left: plot.valToPos(at, "x"), top: 1 });
  };
  area.addEventListener("keydown", (event) => {
    if (!data || !plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const keyed = {
      ArrowLeft: () => move(-1), ArrowRight: () => move(1), PageUp: () => move(-10), PageDown: () => move(10),
      Home: () => move(-Infinity), End: () => move(Infinity),
      "+": () => closer(0.5), "=": () => closer(0.5), "-": () => closer(2), 0: () => zoom(null),
    }[event.key];
    if (!keyed) return;
    event.preventDefault();
    event.stopPropagation();
    keyed();
  });
  area.addEventListener("mousemove", () => (at = null));
  area.addEventListener("blur", () => (at = null));

  // drawing

  const draw = () => {
    frameDue = 0;
    if (!place.clientWidth) {
      // hidden for a moment, as at a change of theme, or for longer: then `resized` tells when it is back
      if ((unseen += 1) < 10) frameDue = requestAnimationFrame(draw);
      return;
    }
    colours = new Map();
    shown = data.rows.filter((row) => !hidden.has(row.name));
    if (!shown.length) shown = data.rows;
    renewLegend();
    renewMarks();
    const now = JSON.stringify([data.lines, font(), shown.map((row) => [row.name, row.told, row.colour])]);
    if (plot === null || now !== made) {
      made = now;
      make();
    } else {
      const size = [place.clientWidth, height()];
      plot.batch(() => {
        if (plot.width !== size[0] || plot.height !== size[1]) plot.setSize({ width: size[0], height: size[1] });
        plot.setData(values());
      });
    }
    axis.textContent = `${minutes() ? "minutes and seconds" : "seconds"} ${data.axis}`;
    area.setAttribute("data-span", span().map((moment) => moment.toFixed(2)).join(" "));
    area.setAttribute("data-rows", shown.map((row) => row.name).join(" "));
    point();
    tell();
  };
  const refresh = () => {
    const found = source(...(range || [null, null]));
    if (!found) return;
    data = found;
    unseen = 0;
    if (frameDue) return;
    frameDue = requestAnimationFrame(draw);
  };
  const resized = new ResizeObserver(() => data && place.clientWidth && refresh()); // also when it is back in the page
  resized.observe(place);
  // a theme has its name first, and its style sheet when that is there
  const themes = new MutationObserver(() => data && refresh());
  themes.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-name", "data-jp-theme-light"] });
  const loaded = ({ target }) => target.tagName === "LINK" && data && refresh();
  document.addEventListener("load", loaded, true);

  return {
    node,
    refresh,
    label: (words) => area.setAttribute("aria-label", words),
    all: () => (range = at = null),
    stop: () => {
      cancelAnimationFrame(frameDue);
      resized.disconnect();
      themes.disconnect();
      document.removeEventListener("load", loaded, true);
      plot?.destroy();
      plot = null;
    },
  };
}

// Charts over time, drawn by uPlot in the colours of the page. Dragging across one zooms the page into that time.
"use strict";

const minus = (text) => text.replace("-", "−");
const written = (value, options) => minus(value.toLocaleString(undefined, options));
const digits = (value) => (Math.abs(value) < 1 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 });
const fixed = (count) => ({ minimumFractionDigits: count, maximumFractionDigits: count });
// Numbers as the page writes them beside the chart, by the unit of their series.
const units = {
  dollars: (value) => `$${written(value, Math.abs(value) < 1 && value ? digits(value) : fixed(2))}`,
  ms: (value) => (value < 10_000 ? `${written(value, fixed(0))} ms` : `${written(value / 1000, fixed(1))} s`),
  mean: (value) => written(value, { ...fixed(2), signDisplay: "exceptZero" }),
};
const told = (value, unit) => (value == null ? "–" : units[unit] ? units[unit](value) : written(value, digits(value)));
const inWords = (options) => { const format = new Intl.DateTimeFormat(undefined, options); return (at) => format.format(at * 1000); };
const clock = inWords({ hour: "2-digit", minute: "2-digit" }), day = inWords({ day: "numeric", month: "short" }), month = inWords({ month: "short", year: "numeric" });
const moment = inWords({ dateStyle: "medium", timeStyle: "short" });
const isMidnight = (at) => new Date(at * 1000).getHours() + new Date(at * 1000).getMinutes() === 0;
// A time is told as shortly as tells it from the others below the chart.
const timesBelow = (_, splits, __, ___, step) => splits.map((at) => (step >= 28 * 86_400 ? month : step >= 86_400 || isMidnight(at) ? day : clock)(at));
// Beside the chart large numbers are short. Six digits tell two steps apart, and how small the numbers are.
const numbersBeside = (_, splits) => {
  const most = Math.max(...splits.map(Math.abs));
  const [size, unit] = [[1e9, "B"], [1e6, "M"], [1e5, "k"]].find(([least]) => most >= least) || [1, ""];
  const one = unit === "k" ? 1000 : size;
  return splits.map((each) => written(each / one, { maximumSignificantDigits: 6 }) + (each ? unit : ""));
};
const wholeSteps = Array.from({ length: 45 }, (_, power) => [1, 2, 5][power % 3] * 10 ** Math.floor(power / 3));
const areWhole = (series) => series.every((each) => each.values.every((value) => Number.isInteger(value ?? 0)));
// A line through one point has no length: without its dot, a value that has no neighbours would not show.
const alone = (plot, index, shows) => {
  const values = plot.data[index];
  return shows ? null : [...values.keys()].filter((at) => values[at] != null && values[at - 1] == null && values[at + 1] == null);
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class TimeChart extends HTMLElement {
  static observedAttributes = ["data-chart"];
  connectedCallback() {
    this.draw = this.draw.bind(this);
    document.addEventListener("theme", this.draw);
    this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.clientWidth, height: this.height }));
    this.draw();
    this.sizes.observe(this);
    this.setAttribute("role", "group");
    if (this.dataset.zoom) this.tabIndex = 0;
    this.onkeydown = (event) => this.choose(event);
    this.onmousedown = (event) => { this.pressed = event.clientX; };
    this.onclick = (event) => {
      if (Math.abs(event.clientX - this.pressed) < 4 && event.target.closest(".u-over") && this.plot.cursor.idx != null) this.look(this.plot.cursor.idx, this.plot.cursor.idx);
    };
  }
  disconnectedCallback() {
    document.removeEventListener("theme", this.draw);
    this.sizes.disconnect();
    this.plot?.destroy();
  }
  attributeChangedCallback() { if (this.isConnected && this.plot) this.draw(); }
  get scale() { return parseFloat(getComputedStyle(document.documentElement).fontSize) / 14; }
  get height() { return Number(this.dataset.height || 220) * this.scale; }

  draw() {
    this.plot?.destroy();
    const chart = JSON.parse(this.dataset.chart);
    const bars = this.dataset.kind === "bars";
    this.times = chart.times;
    this.shown = chart.series;
    this.bucket = chart.bucket_s;
    this.at = this.from = null;
    const size = this.scale;
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `${12 * size}px system-ui`, size: 40 * size };
    const series = chart.series.map((each, index) => {
      const stroke = colour(each.colour ? `--${each.colour}` : `--series-${index + 1}`);
      return {
        label: each.name, stroke: each.faint ? undefined : stroke, width: bars || each.faint ? 0 : 2, spanGaps: false, scale: each.scale || "y",
        fill: bars ? stroke : undefined,
        paths: bars ? uPlot.paths.bars({ size: [0.8], align: 1 }) : undefined,
        points: { show: !bars && !each.faint && chart.times.length < 100, filter: bars || each.faint ? () => [] : alone },
        value: (_, top, __, index) => told(index == null ? each.whole : each.values[index], each.unit),
      };
    });
    const bands = (chart.bands || []).map((band) => ({ series: band.series, fill: colour("--accent-soft") }));
    this.plot = new uPlot({
      width: this.clientWidth || 600, height: this.height, series: [{ label: "Time", value: (_, at) => (at == null ? "all of it" : moment(at)) }, ...series], bands,
      axes: [{ ...axis, size: 28 * size, space: 70 * size, values: timesBelow }, { ...axis, size: 56 * size, values: numbersBeside, ...(areWhole(chart.series) && { incrs: wholeSteps }) }],
      // A bar stands right of the start of its bucket, the last one too.
      scales: { x: { range: (_, first, last) => [first, bars || first === last ? last + chart.bucket_s : last] }, y: { range: chart.range || ((_, low, high) => [Math.min(0, low), high || 1]) } },
      legend: { live: true }, cursor: { drag: { x: true, y: false, setScale: false }, points: { show: !bars } },
      hooks: { setSelect: [(plot) => this.zoom(plot)] },
    }, [chart.times, ...chart.series.map((each) => each.tops || each.values)], this);
    this.describe(chart);
  }

  zoom(plot) {
    const { left, width } = plot.select;
    if (width < 4 || !this.dataset.zoom) return;
    this.go(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }

  // The keys do what dragging does: arrows go from bucket to bucket, with Shift they take in more, Enter looks into them.
  choose(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Enter" && this.at !== null) this.look(Math.min(this.at, this.from), Math.max(this.at, this.from));
    if (!step || !this.times.length) return;
    event.preventDefault();
    const before = this.at ?? (step > 0 ? -1 : this.times.length);
    this.at = Math.min(Math.max(before + step, 0), this.times.length - 1);
    if (!event.shiftKey || this.from === null) this.from = this.at;
    const [first, last] = [this.at, this.from].sort((one, other) => one - other);
    const left = this.plot.valToPos(this.times[first], "x"), right = this.plot.valToPos(this.endOf(last), "x");
    this.plot.setSelect({ left, width: right - left, top: 0, height: this.plot.over.clientHeight }, false);
    this.plot.setCursor({ left: this.plot.valToPos(this.times[this.at], "x"), top: 0 });
    say([moment(this.times[this.at]), ...this.shown.map((each) => `${each.name} ${told(each.values[this.at], each.unit)}`)].join(", "));
  }

  // A click on a bucket, too, which fingers can do.
  look(first, last) {
    if (this.dataset.zoom) this.go(this.times[first], this.endOf(last));
  }

  // Months are not all as long as each other, nor are days.
  endOf(index) { return this.times[index + 1] ?? this.times[index] + this.bucket; }

  go(first, last) {
    const at = (seconds) => new Date(seconds * 1000).toISOString();
    const address = new URL(this.dataset.zoom, location.href);
    address.searchParams.set("time_of_generation_min", at(first));
    address.searchParams.set("time_of_generation_max", at(last));
    htmx.ajax("GET", address.pathname + address.search, { source: this, target: "#page", select: "#page", swap: "outerHTML", push: "true" });
  }

  // The same numbers as a table, for whoever cannot see the drawing.
  describe(chart) {
    const table = document.createElement("table");
    const hidden = document.createElement("div"); // a table alone would be as wide as its cells
    hidden.className = "sr";
    hidden.append(table);
    table.createCaption().textContent = this.getAttribute("aria-label") || "The numbers of the chart";
    const line = (cells) => { const row = table.insertRow(); for (const each of cells) row.insertCell().textContent = each; };
    line(["Time", ...chart.series.map((each) => each.name)]);
    chart.times.forEach((time, index) => line([moment(time), ...chart.series.map((each) => each.values[index] ?? "–")]));
    this.querySelector("div.sr")?.remove();
    this.append(hidden);
  }
}
customElements.define("time-chart", TimeChart);

"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const WHOLE = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5].map((p) => n * 10 ** p)).sort((a, b) => a - b);
  const HEIGHT = 190, DAY = 86400;
  const days = data.span >= 2 * DAY;
  const two = (n) => String(n).padStart(2, "0");
  const day = (s) => "day " + (Math.floor(s / DAY) + 1);
  const clock = (s, seconds = true) =>
    two(Math.floor(s / 3600) % (days ? 24 : 1e9)) + ":" + two(Math.floor(s / 60) % 60) + (seconds ? ":" + two(Math.floor(s % 60)) : "");
  const moment = (s) => (days ? day(s) + ", " : "") + clock(s);

  const STEPS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
  const splits = (u, axis, low, high) => {
    const most = Math.max(2, u.bbox.width / devicePixelRatio / 80);
    const step = STEPS.find((each) => (high - low) / each <= most) || STEPS[STEPS.length - 1];
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  };
  const labels = (u, found) => {
    const fine = found.length > 1 && found[1] - found[0] < 60;
    return found.map((at, n) => clock(at, fine) + (days && (n === 0 || day(at) !== day(found[n - 1])) ? "\n" + day(at) : ""));
  };

  let plots = [], shown = data.outcomes[0], chosen = 0, range = [0, data.span];

  const sync = uPlot.sync("time");
  const mark = (u) => {
    if (chosen < range[0] || chosen > range[1]) return;
    const at = u.valToPos(chosen, "x", true), { ctx } = u;
    ctx.save();
    ctx.strokeStyle = css("--ink");
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(at, u.bbox.top);
    ctx.lineTo(at, u.bbox.top + u.bbox.height);
    ctx.stroke();
    ctx.restore();
  };
  const chart = (title, series, whole = true) => {
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
    const place = document.createElement("div");
    place.className = "chart";
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", title + " over time, " + shown.name + ": " + series.map((each) =>
      each.label + " at most " + +Math.max(0, ...shown.series[each.key]).toPrecision(3)).join(", "));
    $("charts").append(place);
    const plot = new uPlot({
      title, width: $("charts").clientWidth, height: HEIGHT,
      cursor: { sync: { key: "time" }, drag: { x: true, y: false, dist: 8 } },
      scales: { x: { time: false, range: (u, low, high) => [low ?? 0, high ?? data.span] }, y: { range: (u, low, high) => [0, Math.max(1e-9, high) * 1.08] } },
      axes: [{ ...axis, splits, values: labels, size: days ? 48 : 32 }, { ...axis, size: 50, ...(whole ? { incrs: WHOLE } : {}) }],
      series: [{ label: "time", value: (u, at) => at == null ? "" : moment(at) },
        ...series.map((each) => ({ label: each.label, stroke: css(each.colour), width: 1.6, dash: each.dash,
          fill: each.fill ? css(each.colour) + "33" : undefined, points: { show: false },
          paths: uPlot.paths.stepped({ align: 1 }),
          value: (u, y) => y == null ? "" : +y.toPrecision(4) }))],
      hooks: {
        draw: [mark],
        setScale: [(u, key) => { if (key === "x") told(u.scales.x.min, u.scales.x.max); }],
      },
    }, [shown.series.at, ...series.map((each) => shown.series[each.key])], place);
    let pressed = 0;
    plot.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
    plot.over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - pressed) < 8) choose(plot.posToVal(event.offsetX, "x"));
    });
    sync.sub(plot);
    plots.push(plot);
  };

  const told = (low, high) => {
    range = [low, high];
    $("range").textContent = "Shown: " + moment(low) + " to " + moment(high);
  };
  const zoom = (low, high) => {
    const width = Math.min(data.span, Math.max(10, high - low));
    low = Math.min(Math.max(0, low), data.span - width);
    plots.forEach((each) => each.setScale("x", { min: low, max: low + width }));
  };
  const draw = () => {
    const [low, high] = range;
    plots.forEach((each) => { sync.unsub(each); each.destroy(); });
    plots = [];
    $("charts").replaceChildren();
    chart("Requests that came, per second", [{ label: "requests per second", key: "arrivals", colour: "--c2", fill: true }], false);
    chart("Replicas", [{ label: "ready", key: "ready", colour: "--busy", fill: true }, { label: "starting", key: "loading", colour: "--loading" }]);
    chart("Requests held until a replica is ready", [{ label: "held at once", key: "held", colour: "--c3", fill: true }]);
    zoom(low, high);
  };

  const [AT, MODEL, READY, WANTED, APPLIED, MODE, REASON] = [0, 1, 2, 3, 4, 5, 6];
  const last = (at) => {
    let low = 0, high = shown.moments.length;
    while (low < high) { const mid = (low + high) >> 1; if (shown.moments[mid][AT] <= at) low = mid + 1; else high = mid; }
    return low - 1;
  };
  const choose = (at, number = last(at)) => {
    chosen = at;
    const all = shown.moments, words = data.words;
    const several = all.some((each) => each[MODEL] !== all[0][MODEL]);
    const first = Math.max(0, number - 4);
    $("moments").replaceChildren(...all.slice(first, number + 7).map((each, n) => {
      const line = document.createElement("li"), time = document.createElement("strong"), state = document.createElement("span");
      if (first + n === number) { line.className = "now"; line.setAttribute("aria-current", "true"); }
      time.textContent = moment(each[AT]);
      state.className = "soft";
      state.textContent = "(" + (several ? words[each[MODEL]] + ": " : "") + each[READY] + " ready, " + each[WANTED] + " wanted, " + each[APPLIED] + " applied, " + words[each[MODE]] + ")";
      line.append(time, " " + words[each[REASON]] + " ", state);
      return line;
    }));
    $("moment").value = String(at);
    $("moment").setAttribute("aria-valuetext", moment(at));
    $("when").textContent = moment(at);
    $("before").disabled = number <= 0;
    $("next").disabled = number + 1 >= all.length;
    $("cut").textContent = !all.length ? "Nothing was decided." : shown.unlisted
      ? "The list ends with " + moment(all[all.length - 1][AT]) + ": " + shown.unlisted + " later decisions are too many for a page. Simulate a shorter part of the trace (--from, --to) to see them."
      : "";
    if (at < range[0] || at > range[1]) {
      const half = (range[1] - range[0]) / 2;
      zoom(at - half, at + half);
    }
    plots.forEach((each) => each.redraw(false));
    now = number;
  };
  let now = -1;

  const step = (by) => () => {
    const number = Math.min(shown.moments.length - 1, Math.max(0, now + by));
    if (shown.moments.length) choose(shown.moments[number][AT], number);
  };
  const move = (by, closer) => () => {
    const width = range[1] - range[0];
    // Closer is towards the chosen moment if that is in sight, else the middle.
    const seen = chosen > range[0] && chosen < range[1];
    const middle = closer < 1 && seen ? chosen : (range[0] + range[1]) / 2 + by * width;
    zoom(middle - width * closer / 2, middle + width * closer / 2);
  };
  $("before").addEventListener("click", step(-1));
  $("next").addEventListener("click", step(1));
  $("earlier").addEventListener("click", move(-0.5, 1));
  $("later").addEventListener("click", move(0.5, 1));
  $("closer").addEventListener("click", move(0, 0.25));
  $("wider").addEventListener("click", move(0, 4));
  $("whole").addEventListener("click", () => zoom(0, data.span));
  $("moment").addEventListener("input", (event) => choose(Number(event.target.value)));
  $("which").addEventListener("change", (event) => {
    shown = data.outcomes[Number(event.target.value)];
    draw();
    choose(chosen);
  });
  let width = $("charts").clientWidth;
  addEventListener("resize", () => {
    if ($("charts").clientWidth === width) return;
    width = $("charts").clientWidth;
    plots.forEach((each) => each.setSize({ width, height: HEIGHT }));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  choose(shown.moments.length ? shown.moments[0][AT] : 0);
})();

"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const clock = (s) => {
    const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    const two = (n) => String(n).padStart(2, "0");
    const rest = data.span > 7200 ? "" : ":" + two(Math.floor(s % 60));
    return (data.span >= 172800 ? "day " + (d + 1) + " " : "") + two(data.span >= 172800 ? h : h + 24 * d) + ":" + two(m) + rest;
  };
  const splits = (u, axis, low, high) => {
    const steps = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000];
    const most = Math.max(2, u.bbox.width / devicePixelRatio / 110);
    const step = steps.find((each) => (high - low) / each <= most) || steps[steps.length - 1];
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  };
  let plots = [], shown = data.outcomes[0], chosen = 0;

  const sync = uPlot.sync("time");
  const chart = (title, series) => {
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
    const place = document.createElement("div");
    place.className = "chart";
    $("charts").append(place);
    const plot = new uPlot({
      title, width: $("charts").clientWidth, height: 190,
      cursor: { sync: { key: "time" }, drag: { x: true, y: false } },
      scales: { x: { time: false }, y: { range: (u, low, high) => [0, Math.max(1e-9, high) * 1.08] } },
      axes: [{ ...axis, splits, values: (u, at) => at.map(clock) }, { ...axis, size: 56 }],
      series: [{ label: "time", value: (u, at) => at == null ? "" : clock(at) },
        ...series.map((each) => ({ label: each.label, stroke: css(each.colour), width: 1.6,
          fill: each.fill ? css(each.colour) + "33" : undefined,
          paths: uPlot.paths.stepped({ align: 1 }),
          value: (u, y) => y == null ? "" : +y.toPrecision(4) }))],
      hooks: { setCursor: [(u) => { if (u.cursor.event && u.cursor.event.type === "mousemove" && u.cursor.left >= 0) hover = u.posToVal(u.cursor.left, "x"); }] },
    }, [shown.series.at, ...series.map((each) => shown.series[each.key])], place);
    place.addEventListener("click", () => { if (hover != null) choose(hover); });
    sync.sub(plot);
    plots.push(plot);
  };
  let hover = null;

  const draw = () => {
    plots.forEach((each) => { sync.unsub(each); each.destroy(); });
    plots = [];
    $("charts").replaceChildren();
    chart("Requests a second", [{ label: "arrive", key: "arrivals", colour: "--c2", fill: true }]);
    chart("Replicas", [{ label: "ready", key: "ready", colour: "--busy", fill: true }, { label: "starting", key: "loading", colour: "--loading" }]);
    chart("Requests held", [{ label: "held at once", key: "held", colour: "--c3", fill: true }]);
  };

  const choose = (at) => {
    chosen = at;
    $("moment").value = String(Math.round(at));
    $("moment").setAttribute("aria-valuetext", clock(at));
    const all = shown.moments;
    let low = 0, high = all.length;
    while (low < high) { const mid = (low + high) >> 1; if (all[mid].at <= at) low = mid + 1; else high = mid; }
    const now = low - 1;
    const near = all.slice(Math.max(0, now - 5), now + 8);
    $("moments").replaceChildren(...near.map((each) => {
      const line = document.createElement("li");
      if (each === all[now]) line.className = "now";
      const time = document.createElement("strong");
      time.textContent = clock(each.at);
      line.append(time, " " + each.model + ": " + each.ready + " ready, " + each.desired + " wanted, " + each.applied + " applied (" + each.mode + "). " + each.reason);
      return line;
    }));
    $("when").textContent = all.length ? clock(at) : "nothing was decided";
  };

  $("moment").addEventListener("input", (event) => choose(Number(event.target.value)));
  $("which").addEventListener("change", (event) => {
    shown = data.outcomes[Number(event.target.value)];
    draw();
    choose(chosen);
  });
  $("whole").addEventListener("click", () => plots.forEach((each) => each.setScale("x", { min: 0, max: data.span })));
  let width = 0;
  addEventListener("resize", () => {
    if ($("charts").clientWidth === width) return;
    width = $("charts").clientWidth;
    plots.forEach((each) => each.setSize({ width, height: 190 }));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  choose(shown.moments.length ? shown.moments[0].at : 0);
})();

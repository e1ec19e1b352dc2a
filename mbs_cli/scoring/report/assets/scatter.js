// Every file once: how it scored before, across, against how it scores now, upwards.

const GUTTER_PIXELS = 46;

function showScatter(store) {
  const host = byId("scatter");
  if (report.systems.length < 2) {
    byId("scatter-card").hidden = true;
    return;
  }
  const draw = () => drawScatter(host, store);
  store.watch(["metric", "system", "baseline"], draw);
  redrawOnResize(host, draw);
}

function drawScatter(host, store) {
  const { metric, system, baseline } = store.state;
  const [name, base] = [report.systems[system].name, report.systems[baseline].name];
  const pairs = report.files
    .map((file) => ({ file, before: valueOf(file, baseline, metric), after: valueOf(file, system, metric) }))
    .filter(({ before, after }) => before !== null && after !== null);
  const improved = pairs.filter(({ before, after }) => gain(metric, after - before) > 0).length;
  byId("scatter-caption").textContent = `${name} is better than ${base} in ${improved} of ${plural(pairs.length, "file")}`;
  if (!pairs.length) return emptyPlot(host);
  const width = host.clientWidth;
  const height = Math.min(TALLEST_PIXELS, width);
  const range = rangeOf(pairs.flatMap(({ before, after }) => [before, after]));
  const across = scale(range, GUTTER_PIXELS, width - SIDE_PIXELS);
  const upwards = scale(range, height - GUTTER_PIXELS, SIDE_PIXELS);
  const drawn = canvas(host, width, height, `${metricName(metric)} of every file: ${name} against ${base}`);
  drawn.append(betterHalf(metric, range, across, upwards));
  drawn.append(...scatterAxes(range, across, upwards, width, height, name, base));
  const points = pairs.map((pair) => ({ ...pair, x: across(pair.before), y: upwards(pair.after) }));
  drawn.append(pointsPath(points, `large ${systemClass(system)}`));
  makeClickable(host, drawn, points,
    ({ file, before, after }) => `${file.name}: ${formatValue(metric, before)} \u2192 ${formatValue(metric, after)}`,
    ({ file }) => openFile(store, file, system));
}

// The side of the diagonal on which a file has gained.
function betterHalf(metric, [low, high], across, upwards) {
  const corner = report.metrics[metric].isHigherBetter ? [across(low), upwards(high)] : [across(high), upwards(low)];
  const path = `M${across(low)} ${upwards(low)}L${across(high)} ${upwards(high)}L${corner[0]} ${corner[1]}z`;
  return drawing("path", { class: "better-half", d: path });
}

function scatterAxes(range, across, upwards, width, height, name, base) {
  const [left, right] = range.map(across);
  const [bottom, top] = range.map(upwards);
  const marks = ticksBetween(...range, height / 60).flatMap(({ value, text }) => [
    drawing("line", { class: "grid", x1: across(value), x2: across(value), y1: bottom, y2: top }),
    drawing("line", { class: "grid", x1: left, x2: right, y1: upwards(value), y2: upwards(value) }),
    drawing("text", { class: "tick", x: across(value), y: bottom + 16, "text-anchor": "middle" }, text),
    drawing("text", { class: "tick", x: left - 6, y: upwards(value) + 4, "text-anchor": "end" }, text),
  ]);
  const middle = (bottom + top) / 2;
  return [
    ...marks,
    drawing("line", { class: "diagonal", x1: left, y1: bottom, x2: right, y2: top }),
    drawing("text", { class: "axis", x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, base),
    drawing("text", { class: "axis", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, name),
  ];
}

"use strict";
const lesson = JSON.parse(document.getElementById("lesson").textContent);
const NS = "http://www.w3.org/2000/svg";
const by = (id) => document.getElementById(id);
const frames = lesson.frames;
let at = -1;
let timer = 0;
let shownView = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function number(value) {
  if (typeof value !== "number") return value === "inf" ? "∞" : value === "-inf" ? "−∞" : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

function short(data, shape) {
  if (data === null || data === undefined) return "none";
  if (!Array.isArray(data)) return number(data);
  const flat = data.flat(Infinity);
  const total = shape ? shape.reduce((a, b) => a * b, 1) : flat.length;
  if (total > 12) return `${(shape || [flat.length]).join(" × ")}: ${flat.slice(0, 3).map(number).join(", ")} …`;
  return "[" + data.map((item) => short(item)).join(", ") + "]";
}

function plain(value) {
  if (value.type === "NoneType") return "None";
  if (value.type === "bool") return value.value ? "True" : "False";
  if (value.length !== undefined) return `${value.type} of ${value.length}`;
  if (value.type === "str") return JSON.stringify(value.value);
  return value.value !== undefined && value.value !== null ? number(value.value) : value.type;
}

const lines = lesson.program.map((code, i) => {
  const item = make("li", "line");
  item.append(make("span", "number", i + 1), make("span", "code", code || " "), make("span", "note"));
  by("program").append(item);
  return item;
});

function markLines(frame) {
  const reached = new Set(frames.slice(0, at + 1).map((f) => f.line));
  lines.forEach((item, i) => {
    item.className = "line" + (reached.has(i + 1) ? " done" : "");
    item.lastChild.textContent = "";
    item.lastChild.className = "note";
  });
  if (!frame) return;
  const item = lines[frame.line - 1];
  if (!item) return;
  item.classList.add(frame.raised ? "failed" : "now");
  const [text, kind] = note(frame);
  item.lastChild.textContent = text;
  item.lastChild.classList.add(kind);
  item.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function note(frame) {
  if (frame.node) return ["↑ going backward", "grad"];
  const change = frame.changes.find((c) => c.kind === "grad") || frame.changes[0];
  if (!change) return ["", "value"];
  if (change.kind === "grad") return [`${change.name}.grad → ${short(change.after)}`, "grad"];
  if (change.tensor) return [`${change.name} = ${short(change.tensor.data, change.tensor.shape)}`, "value"];
  if (change.kind === "assigned") return [`${change.name} = ${plain(change.value)}`, "value"];
  if (change.kind === "condition") return [change.value ? "true" : "false", "value"];
  return ["", "value"];
}

function sentence(change) {
  const item = make("li");
  const code = (text, kind) => item.append(make("code", kind || "", text));
  const say = (text) => item.append(text);
  if (change.kind === "grad") {
    code(`${change.name}.grad`, "grad"); say(": "); code(short(change.before)); say(" → "); code(short(change.after), "grad");
    if (change.before !== null && change.after !== null) {
      const isZero = (data) => [data].flat(Infinity).every((v) => v === 0);
      if (isZero(change.after)) say(" (set to zero)");
      else if (!isZero(change.before)) say(" (backward adds to what was there)");
    }
  } else if (change.kind === "assigned" && change.tensor) {
    const t = change.tensor;
    code(change.name); say(change.is_new ? " is a new tensor " : " now names a tensor that was there before: ");
    code(short(t.data, t.shape), "value");
    say(t.requires_grad ? (t.is_leaf ? "; a leaf that requires grad" : `; remembers how it was made (${t.grad_fn})`) : "; no gradient wanted");
  } else if (change.kind === "assigned") {
    code(change.name); say(" = "); code(plain(change.value), "value");
  } else if (change.kind === "changed in place") {
    code(change.name); say(" changed in place to "); code(short(change.tensor.data, change.tensor.shape), "value");
    say(` (version ${change.version_before} → ${change.tensor.version})`);
  } else if (change.kind === "requires_grad") {
    code(`${change.name}.requires_grad`); say(change.after ? " is now True" : " is now False");
  } else if (change.kind === "condition") {
    say(change.value ? "The condition is true." : "The condition is false.");
  } else if (change.kind === "deleted") {
    code(change.name); say(" is gone");
  }
  return item;
}

function rich(text) {
  const paragraph = make("p");
  text.split("`").forEach((part, i) => paragraph.append(i % 2 ? make("code", "", part) : part));
  return paragraph;
}

function card(kind, ...parts) {
  const box = make("div", `card ${kind}`);
  for (const [tag, text] of parts) if (text) box.append(tag === "p" ? rich(text) : make(tag, "", text));
  return box;
}

function tell(frame) {
  by("changes").replaceChildren();
  by("verdict").replaceChildren();
  if (!frame) {
    by("heading").textContent = "Before the first line";
    by("changes").append(make("li", "", "Step through the program with the arrow keys or the buttons above."));
    return;
  }
  if (frame.node) {
    const box = findBox(frame.node);
    const arrived = box && box.gradients.find((g) => g.step === frame.pass);
    by("heading").textContent = `Line ${frame.line}: backward`;
    const item = make("li");
    item.append("The gradient ", make("code", "grad", arrived ? arrived.rows.join(" ") : ""), " arrives at ", make("code", "", box ? box.title : ""));
    if (box && box.kind === "leaf") item.append(": it is added to ", make("code", "grad", `${box.title}.grad`));
    by("changes").append(item);
    if (box && box.freed && box.freed.step === frame.pass && box.kept)
      by("changes").append(make("li", "", `then what it kept for this is freed: ${box.kept.slice(6)}`));
    return;
  }
  by("heading").textContent = `Line ${frame.line}`;
  for (const change of frame.changes) by("changes").append(sentence(change));
  if (!frame.changes.length && !frame.raised) by("changes").append(make("li", "", frame.printed ? "prints" : "changes nothing that has a name"));
  for (const hint of lesson.hints) {
    if (hint.line === frame.line && !frame.raised) by("verdict").append(card("hint", ["p", hint.text], ["pre", hint.mend]));
  }
  if (frame.raised && lesson.error) {
    const e = lesson.error;
    by("verdict").append(card("bad", ["p", `${e.type}: ${e.message}`]), card("hint", ["p", e.diagnosis]));
    if (e.mend) by("verdict").append(card("good", ["p", `Mend (line ${e.mend_line}): ${e.mend_why}`], ["pre", e.mend]));
  }
  if (at === frames.length - 1) conclude();
}

function conclude() {
  for (const s of lesson.symbolic) {
    by("verdict").append(card("good", ["p", `In symbols, line ${s.line}: the derivative of ${s.expression} by ${s.of} is ${s.derivative} = ${number(s.value)}; autograd says ${number(s.autograd)}.`]));
  }
  if (lesson.checks.length) {
    const agree = lesson.checks.every((c) => c.status === "agrees");
    by("verdict").append(card(agree ? "good" : "hint", ["p", checked()]));
  }
  if (lesson.n_left_out) by("verdict").append(card("hint", ["p", `${lesson.n_left_out} further executed lines are not shown.`]));
}

function checked() {
  const counts = new Map();
  for (const c of lesson.checks) counts.set(c.status, (counts.get(c.status) || 0) + 1);
  const told = [...counts].map(([status, n]) => `${n} ${status === "agrees" && n > 1 ? "agree" : status}`);
  const left = lesson.checks_left_out;
  return `Gradients against finite differences: ${told.join(", ")}.` + (left.n ? ` ${left.n} more were not checked: ${left.reason}.` : "");
}

function findBox(id) {
  for (const view of lesson.views) for (const box of view.nodes) if (box.id === id) return box;
  return null;
}

function viewAt(frame) {
  if (!lesson.views.length) return null;
  if (frame && frame.node) {
    const found = lesson.views.filter((v) => v.nodes.some((b) => b.id === frame.node));
    const op = found.find((v) => v === shownView);
    return op || found[found.length - 1] || lesson.views[0];
  }
  const step = frame ? frame.step : -1;
  let best = lesson.views[0];
  for (const view of lesson.views) {
    if (view.nodes.some((box) => box.kind === "operation" && box.step <= step)) best = view;
  }
  return best;
}

function gradientAt(box, frame) {
  let shown = null;
  if (!frame) return null;
  const passed = new Set();
  for (let i = 0; i <= at; i += 1) if (frames[i].node === box.id) passed.add(frames[i].pass);
  for (const g of box.gradients) {
    if (passed.has(g.step) || (g.step <= frame.step && !frame.node) || g.step < frame.step) shown = g;
  }
  return shown;
}

function valueAt(box, step) {
  let shown = box.value;
  for (const then of box.history) if (then.step <= step) shown = then.rows;
  return shown;
}

function boxed(value, shape) {
  const text = short(value);
  if (text.length <= 24 || !shape) return text;
  const head = [value].flat(Infinity).slice(0, 2).map(number).join(", ");
  return `${shape.join(" × ")}: ${head} …`;
}

function totalAt(box) {
  let total = null;
  for (let i = 0; i <= at; i += 1) {
    for (const change of frames[i].changes || []) {
      if (change.kind === "grad" && change.name === box.name) total = change.after === null ? "none" : boxed(change.after, box.shape);
    }
  }
  return total;
}

function isFreed(box, frame) {
  if (!box.freed || !frame) return false;
  return box.freed.step < frame.step || (box.freed.step <= frame.step && (!frame.node || frames.slice(0, at + 1).some((f) => f.node === box.id && f.pass === box.freed.step)));
}

function fit(view) {
  const stage = by("graph").parentElement;
  const scale = Math.min(1, (stage.clientWidth - 14) / view.width, (stage.clientHeight - 14) / view.height);
  return Math.max(scale, 0.62);
}

function paint(frame) {
  const view = viewAt(frame);
  const stage = by("graph");
  shownView = view;
  stage.replaceChildren();
  if (!view) {
    stage.append(make("p", "none", "No graph is built: nothing here requires grad."));
    return;
  }
  const step = frame ? frame.step : -1;
  const scale = fit(view);
  const svg = draw("svg", { width: view.width * scale, height: view.height * scale, viewBox: `0 0 ${view.width} ${view.height}`, role: "img" });
  const defs = draw("defs", {});
  for (const [id, kind] of [["h", "head"], ["hb", "head back"]]) {
    const marker = draw("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" });
    marker.append(draw("path", { class: kind, d: "M0 0L8 4L0 8z" }));
    defs.append(marker);
  }
  svg.append(defs);
  const boxes = new Map(view.nodes.map((box) => [box.id, box]));
  const exists = (box) => box.step <= step;
  const came = new Map(view.nodes.map((box) => [box.id, gradientAt(box, frame)]));
  for (const edge of view.edges) {
    const back = came.get(edge.from) && came.get(edge.to);
    const there = exists(boxes.get(edge.to)) && exists(boxes.get(edge.from));
    const path = draw("path", { class: "edge" + (back ? " back" : "") + (there ? "" : " ahead"), d: edge.path });
    path.setAttribute(back ? "marker-start" : "marker-end", back ? "url(#hb)" : "url(#h)");
    svg.append(path);
  }
  let focus = null;
  for (const box of view.nodes) {
    const isNew = frame && !frame.node && box.step === frame.step;
    const arriving = frame && frame.node === box.id;
    const group = draw("g", { class: box.kind + (exists(box) ? "" : " ahead") + (isNew ? " new" : "") + (arriving ? " arriving" : "") });
    const left = box.x - box.width / 2;
    const top = box.y - box.height / 2;
    group.append(draw("rect", { class: "box", x: left, y: top, width: box.width, height: box.height, rx: 8 }));
    const gradient = came.get(box.id);
    const texts = [["title", box.title], ["sub", box.subtitle]];
    if (box.kept) texts.push([isFreed(box, frame) ? "sub gone" : "sub", box.kept]);
    texts.push(...valueAt(box, step).map((row) => ["v", row]));
    const total = box.kind === "leaf" && !arriving ? totalAt(box) : null;
    if (total) texts.push(["g", `grad ${total}`]);
    else if (gradient) gradient.rows.forEach((row, i) => texts.push(["g", i ? row : (box.kind === "leaf" && arriving ? "arriving " : "grad ") + row]));
    texts.forEach(([kind, text], i) => {
      group.append(draw("text", { class: kind, x: box.x, y: top + 17 * (i + 1) + 3, "text-anchor": "middle" }, text));
    });
    if (isNew || arriving) focus = group;
    svg.append(group);
  }
  stage.append(svg);
  if (focus) focus.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function print(frame) {
  const pane = by("printed");
  pane.replaceChildren();
  frames.slice(0, at + 1).forEach((f, i) => {
    if (f.printed) pane.append(make("span", i === at ? "new" : "", f.printed));
  });
  pane.parentElement.scrollTop = pane.parentElement.scrollHeight;
}

function show(index) {
  at = Math.max(-1, Math.min(frames.length - 1, index));
  const frame = at < 0 ? null : frames[at];
  markLines(frame);
  paint(frame);
  tell(frame);
  print(frame);
  by("slider").value = at + 1;
  by("count").textContent = `step ${at + 1} of ${frames.length}`;
  by("back").disabled = by("first").disabled = at < 0;
  by("next").disabled = by("last").disabled = at === frames.length - 1;
}

function pause() {
  clearInterval(timer);
  timer = 0;
  by("play").textContent = "▶ Play";
}

function play() {
  if (timer) return pause();
  if (at === frames.length - 1) window.addEventListener("resize", () => show(at));
show(-1);
  by("play").textContent = "⏸ Pause";
  timer = setInterval(() => {
    if (at === frames.length - 1) pause();
    else show(at + 1);
  }, 900);
}

function go(index) {
  pause();
  show(index);
}

by("slider").max = frames.length;
by("slider").addEventListener("input", (event) => go(Number(event.target.value) - 1));
by("first").addEventListener("click", () => go(-1));
by("back").addEventListener("click", () => go(at - 1));
by("play").addEventListener("click", play);
by("next").addEventListener("click", () => go(at + 1));
by("last").addEventListener("click", () => go(frames.length - 1));
document.addEventListener("keydown", (event) => {
  const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: -1, End: frames.length - 1 };
  if (event.key in moves) go(moves[event.key]);
  else if (event.key === " ") play();
  else return;
  event.preventDefault();
});
window.addEventListener("resize", () => show(at));
show(-1);

"use strict";
// The page: pictures are sent to the server that showed it, and nowhere else.

const $ = (id) => document.getElementById(id);
const KEPT = "multiaxis.items", TOKEN = "multiaxis.token", ACTIVE = ["queued", "running"];
let words = {}, tasks = [], items = [], shown = null, following = null;

const say = (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// ---- The server

function token() {
  const given = /[#&]token=([^&]+)/.exec(location.hash);
  if (given) {
    sessionStorage.setItem(TOKEN, decodeURIComponent(given[1]));
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(TOKEN);
}

function headers(more = {}) {
  const known = sessionStorage.getItem(TOKEN);
  return known ? { ...more, authorization: `Bearer ${known}` } : more;
}

class Refusal extends Error {
  constructor(status, text, wait) { super(text); this.status = status; this.wait = wait; }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch {
    throw new Refusal(0, say("no_server"));
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let detail = text;
  try { detail = JSON.parse(text).detail ?? text; } catch { /* no problem+json */ }
  if (answer.status === 401) detail = say("no_token");
  throw new Refusal(answer.status, detail, Number(answer.headers.get("retry-after")) || 1);
}

function send(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1/pictures?name=${encodeURIComponent(file.name)}`);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", file.type || "application/octet-stream");
    request.upload.onprogress = (event) => event.total && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Refusal(0, say("no_server")));
    request.onload = () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status === 201) return resolve(body);
      const text = request.status === 401 ? say("no_token") : body.detail ?? request.statusText;
      reject(new Refusal(request.status, text, Number(request.getResponseHeader("retry-after")) || 1));
    };
    request.send(file);
  });
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** Do something again while the server is busy, and say so meanwhile. */
async function patiently(item, act) {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (error.status !== 429) throw error;
      item.wait = say("busy", { seconds: error.wait });
      drawItem(item);
      await pause(error.wait);
      item.wait = "";
      if (!items.includes(item)) throw error;
    }
  }
}

// ---- Words for amounts

function duration(seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
const gigabytes = (bytes) => bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
const percent = (part) => Math.floor(100 * part);

// ---- Adding pictures

const adding = [];
let isAdding = false;

async function add(files) {
  const fresh = [...files].map((file) => ({ name: file.name, state: "sending", part: 0, file }));
  items.push(...fresh);
  adding.push(...fresh);
  fresh.forEach(drawItem);
  drawAll();
  tell(say("said_added", { count: fresh.length }));
  if (isAdding) return;
  isAdding = true;
  while (adding.length) await sendOne(adding.shift());
  isAdding = false;
}

async function sendOne(item) {
  if (!items.includes(item)) return;
  try {
    item.picture = await patiently(item, () => send(item.file, (part) => {
      item.part = part;
      item.state = part < 1 ? "sending" : "looking";
      drawItem(item);
    }));
    item.state = "ready";
  } catch (error) {
    fail(item, error.message);
  }
  delete item.file;
  if (!items.includes(item)) return;
  drawItem(item);
  drawAll();
  keep();
  if (item.picture && !shown) show(item);
  else estimate();
}

function fail(item, text) {
  item.state = "failed";
  item.error = text;
  tell(say("said_failed", { name: item.name, text }));
}

function keep() {
  const kept = items.filter((item) => item.picture)
    .map((item) => ({ picture: item.picture, job: item.job?.id }));
  localStorage.setItem(KEPT, JSON.stringify(kept));
}

/** After a reload: what this browser had sent and the server still has. */
async function recall() {
  let kept = [];
  try { kept = JSON.parse(localStorage.getItem(KEPT)) ?? []; } catch { /* nothing */ }
  for (const { picture, job } of kept) {
    const item = { name: picture.name, picture, state: "ready" };
    try {
      if (job) item.job = await (await ask(`/v1/jobs/${job}`)).json();
      if (!job || !ACTIVE.includes(item.job.state)) await ask(`/v1/pictures/${picture.id}`);
    } catch (error) {
      if (error.status !== 404) throw error;
      if (!item.job || item.job.state !== "done") continue;  // else the job has the picture
    }
    if (item.job) item.state = item.job.state;
    if (item.job?.error && item.state === "failed") item.error = item.job.error;
    items.push(item);
    drawItem(item);
  }
  drawAll();
  keep();
  if (items.length) show(items[0]);
  follow();
}

// ---- Options

function options() {
  const given = { task: [...document.querySelectorAll(".step")].map((step) => step.value).join(",") };
  given.model = document.querySelector("[name=model]:checked").value;
  given.strength = $("strength").value;
  for (const name of ["format", "depth", "quality"]) if ($(name).value) given[name] = $(name).value;
  if (!$("metadata").checked) given.strip = "true";
  if ($("ensemble").checked) given.ensemble = "true";
  return given;
}

function addStep() {
  const select = document.createElement("select");
  select.className = "step";
  const number = document.querySelectorAll(".step").length;
  select.setAttribute("aria-label", number ? `${say("then")} ${number + 1}` : say("task"));
  for (const { task } of tasks) select.append(new Option(words[`task_${task}`] ?? task, task));
  select.addEventListener("change", optionsChanged);
  $("steps").append(select);
  optionsChanged();
}

function optionsChanged() {
  const steps = document.querySelectorAll(".step");
  $("remove-step").hidden = steps.length < 2;
  const hasFast = ({ value }) =>
    tasks.find(({ task }) => task === value)?.models.some(({ model }) => model === "fast");
  const fast = document.querySelector("[value=fast]");
  fast.disabled = !steps.length || ![...steps].every(hasFast);
  if (fast.disabled && fast.checked) document.querySelector("[value=full]").checked = true;
  $("strength-shown").value = `${Math.round(100 * $("strength").value)} %`;
  estimate();
}

let estimating = 0;

async function estimate() {
  const mine = ++estimating, item = shown ?? items.find(({ picture }) => picture);
  if (!item?.picture) { $("estimate").textContent = ""; return; }
  await pause(0.15);
  while (mine === estimating) {
    try {
      const found = await estimateOf(item.picture);
      if (mine !== estimating) return;
      const lines = [estimateLine(item.name, found)];
      const rest = items.filter(({ state, picture }) => picture && state === "ready");
      if (rest.length > 1 && found.seconds !== null) {
        const pixels = rest.reduce((sum, { picture }) => sum + picture.megapixels, 0);
        const time = duration(found.seconds / item.picture.megapixels * pixels);
        lines.push(say("estimate_all", { count: rest.length, time }));
      }
      if (found.loads.length) lines.push(say("estimate_loads", { names: found.loads.join(", ") }));
      if (found.waiting_seconds > 2) lines.push(say("estimate_waits", { time: duration(found.waiting_seconds) }));
      $("estimate").textContent = lines.join(" ");
      if (!found.measuring) return;
    } catch (error) {
      if (mine === estimating) $("estimate").textContent = error.message;
      return;
    }
    await pause(1);
  }
}

async function estimateOf({ width, height }) {
  const { task, model, ensemble } = options();
  const body = JSON.stringify({ task, model, width: String(width), height: String(height), ...(ensemble && { ensemble }) });
  return (await ask("/v1/estimate", { method: "POST", body, headers: { "content-type": "application/json" } })).json();
}

function estimateLine(name, found) {
  const memory = gigabytes(found.memory);
  if (found.refusal) return `${name}: ${found.refusal}`;
  if (found.seconds !== null) return say("estimate", { name, memory, time: duration(found.seconds) });
  return say(found.measuring ? "estimate_measuring" : "estimate_unknown", { name, memory });
}

// ---- Jobs

async function start(item, more = {}) {
  const body = new URLSearchParams({ ...options(), ...more, picture: item.picture.id });
  const answer = await patiently(item, () =>
    ask("/v1/restore", { method: "POST", body, headers: { prefer: "respond-async" } }));
  return answer.json();
}

async function restore(item) {
  if (!item.picture || ACTIVE.includes(item.state)) return;
  item.state = "queued";
  item.error = "";
  drawItem(item);
  drawAll();
  try {
    const earlier = item.job;
    item.job = await start(item);
    if (earlier) ask(`/v1/jobs/${earlier.id}`, { method: "DELETE" }).catch(() => {});
    item.state = item.job.state;
  } catch (error) {
    fail(item, error.message);
  }
  drawItem(item);
  drawAll();
  keep();
  follow();
}

async function cancel(item) {
  try {
    if (item.job) took(item, await (await ask(`/v1/jobs/${item.job.id}`, { method: "DELETE" })).json());
  } catch (error) { warn(error.message); }
}

async function remove(item) {
  items = items.filter((other) => other !== item);
  item.row?.remove();
  for (const path of [item.job && `/v1/jobs/${item.job.id}`, item.picture && `/v1/pictures/${item.picture.id}`]) {
    if (path) ask(path, { method: "DELETE" }).catch(() => {});
    if (path && item.job && ACTIVE.includes(item.job.state)) await pause(0.05);
  }
  if (shown === item) show(items.find(({ picture }) => picture) ?? null);
  drawAll();
  keep();
  $("files").focus();
}

function took(item, job) {
  const before = item.state;
  item.job = job;
  item.state = job.state;
  item.error = job.state === "failed" ? job.error : "";
  if (before !== job.state && job.state === "done") tell(say("said_done", { name: item.name }));
  if (before !== job.state && job.state === "failed") tell(say("said_failed", { name: item.name, text: job.error }));
  drawItem(item);
  drawAll();
  if (item === shown && before !== job.state && job.state === "done") load(item);
}

/** Hear of all jobs that are under way through one stream, and again if it breaks. */
async function follow() {
  following?.abort();
  const mine = following = new AbortController();
  while (following === mine) {
    const watched = items.filter(({ job }) => job && ACTIVE.includes(job.state));
    if (!watched.length) return;
    try {
      const names = watched.map(({ job }) => job.id).join(",");
      const answer = await ask(`/v1/events?jobs=${names}`, { signal: mine.signal });
      await readEvents(answer.body, (job) => {
        const item = items.find((other) => other.job?.id === job.id);
        if (item) took(item, job);
      });
      warn("");
      for (const item of watched.filter(({ job }) => job && ACTIVE.includes(job.state))) await look(item);
    } catch (error) {
      if (mine.signal.aborted) return;
      warn(say("no_server"));
    }
    await pause(1);
  }
}

/** Ask for one job; one that is no longer there has failed, and the others go on. */
async function look(item) {
  try {
    took(item, await (await ask(`/v1/jobs/${item.job.id}`)).json());
  } catch (error) {
    if (error.status !== 404) throw error;
    fail(item, error.message);
    delete item.job;
    drawItem(item);
    drawAll();
  }
}

async function readEvents(body, onJob) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length) onJob(JSON.parse(data.join("\n")));
    }
  }
}

async function download(path, name, more = {}) {
  try {
    const blob = await (await ask(path, more)).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) { warn(error.message); }
}

// ---- The list

function stateText(item) {
  const { picture, job, state } = item;
  if (item.wait) return item.wait;
  if (state === "sending") return say("sending", { percent: percent(item.part) });
  if (state === "ready") return say("ready", { size: `${picture.width} × ${picture.height}` });
  if (state === "queued") return job?.position ? say("queued", { position: job.position }) : say("queued_next");
  if (state === "done") return say("done", { time: duration(job.seconds) });
  if (state !== "running") return say(state);
  if (job.stage === "loading") return say("loading", { percent: percent(job.loading ?? 0) });
  if (job.stage !== "restoring") return say("starting");
  const left = job.estimate.seconds * (1 - job.progress);
  const values = { percent: percent(job.progress), time: duration(left) };
  return say(job.estimate.seconds ? "restoring_left" : "restoring", values);
}

function makeRow(item) {
  const row = document.createElement("li");
  row.innerHTML = '<button type="button" class="name"></button><p class="state"></p><progress max="1"></progress>' +
    '<p class="error"></p><ul class="notes"></ul><p class="row"></p>';
  const name = row.querySelector(".name");
  name.textContent = item.name;
  name.setAttribute("aria-label", say("show", { name: item.name }));
  name.addEventListener("click", () => item.picture && show(item));
  row.querySelector("progress").setAttribute("aria-label", item.name);
  item.buttons = {};
  for (const [key, act] of Object.entries({ restore: () => restore(item), cancel: () => cancel(item),
    download: () => download(item.job.result, item.job.name), remove: () => remove(item) })) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = say(key);
    button.setAttribute("aria-label", say(`${key}_name`, { name: item.name }));
    button.addEventListener("click", act);
    row.lastElementChild.append(button);
    item.buttons[key] = button;
  }
  $("list").append(row);
  return row;
}

function drawItem(item) {
  if (!items.includes(item)) return;
  const row = item.row ??= makeRow(item), { buttons, state, job } = item;
  const find = (part) => row.querySelector(part), isActive = ACTIVE.includes(state);
  row.classList.toggle("shown", item === shown);
  find(".name").setAttribute("aria-current", String(item === shown));
  find(".state").textContent = stateText(item);
  const bar = find("progress");
  bar.hidden = !isActive && state !== "sending";
  bar.value = state === "sending" ? item.part : job?.progress ?? 0;
  find(".error").textContent = item.error ?? "";
  find(".error").hidden = !item.error;
  const notes = [...new Set([...(item.picture?.notes ?? []), ...(state === "done" ? job.notes : [])])];
  find(".notes").replaceChildren(...notes.map((text) => {
    const note = document.createElement("li");
    note.textContent = say("note", { text });
    return note;
  }));
  buttons.restore.hidden = !item.picture || isActive;
  buttons.restore.textContent = say(state === "done" ? "again" : "restore");
  buttons.cancel.hidden = !isActive || !job;
  buttons.download.hidden = state !== "done";
  buttons.download.className = state === "done" ? "main" : "";
}

function drawAll() {
  const done = items.filter(({ state }) => state === "done"), ready = items.filter(canStart);
  const asked = items.filter(({ job }) => job);
  $("empty").hidden = items.length > 0;
  $("all").hidden = items.length === 0;
  $("restore-all").disabled = !ready.length;
  $("restore-all").textContent = ready.length > 1 ? say("restore_all_count", { count: ready.length }) : say("restore_all");
  $("cancel-all").disabled = !items.some(({ state }) => ACTIVE.includes(state));
  $("download-all").disabled = !done.length;
  $("queue-label").textContent = say("queue_progress", { done: done.length, count: asked.length });
  $("queue-label").hidden = $("queue").hidden = !asked.length;
  const part = asked.reduce((sum, { state, job }) => sum + (ACTIVE.includes(state) ? job.progress : 1), 0);
  $("queue").value = asked.length ? part / asked.length : 0;
  drawCaption();
}

const canStart = ({ picture, state }) => picture && !ACTIVE.includes(state) && state !== "done";

function tell(text) { $("said").textContent = text; }
function warn(text) { $("alert").textContent = text; }

// ---- The view

const view = { scale: 1, x: 0, y: 0, before: null, after: null, box: null, isCrop: false, preview: null };
const canvas = $("canvas"), paint = canvas.getContext("2d");
const pointers = new Map();

async function bitmap(path) {
  return createImageBitmap(await (await ask(path)).blob());
}

function show(item) {
  const before = shown;
  shown = item;
  if (before && before !== item) drawItem(before);
  Object.assign(view, { before: null, after: null, preview: null, isCrop: false });
  $("nothing").hidden = Boolean(item);
  $("preview-row").hidden = !item;
  if (item) {
    drawItem(item);
    chooseBox(item.picture);
    load(item);
  }
  draw();
  estimate();
}

async function load(item) {
  try {
    const { picture, job } = item;
    const source = job?.state === "done" ? job.before : picture.view;
    const [first, second] = await Promise.all([
      view.before && shown === item ? view.before : bitmap(source),
      job?.state === "done" ? bitmap(job.after) : null,
    ]);
    if (shown !== item) return;
    const isNew = !view.before || (second && view.preview);
    Object.assign(view, { before: first, after: second });
    if (second) Object.assign(view, { preview: null, isCrop: false });
    if (isNew) fit();
    draw();
  } catch (error) {
    if (shown !== item) return;
    const text = error instanceof Refusal ? say("bad_show", { text: error.message }) : say("too_large_to_show");
    $("nothing").textContent = text;
    $("nothing").hidden = false;
  }
}

const whole = () => ({ left: 0, top: 0, width: view.before.width, height: view.before.height });

/** What is shown: a pair of pictures and the part of the first one that they are of. */
function pair() {
  if (!view.before) return null;
  if (view.preview && !view.isCrop) return { before: view.before, after: view.preview.after, box: view.preview.box };
  return { before: view.before, after: view.isCrop ? null : view.after, box: whole() };
}

function drawPart(target, image, { left, top, width, height }, isCropped) {
  target.imageSmoothingEnabled = view.scale < 2;
  target.imageSmoothingQuality = "high";
  const from = isCropped ? [0, 0] : [left, top];
  target.drawImage(image, ...from, width, height, view.x, view.y, width * view.scale, height * view.scale);
}

function draw() {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  paint.setTransform(ratio, 0, 0, ratio, 0, 0);
  const found = pair();
  drawCaption();
  $("zoom-shown").value = `${Math.round(100 * view.scale * ratio)} %`;
  if (!found) return;
  $("nothing").hidden = true;
  const mode = document.querySelector("[name=mode]:checked").value, { after, box, before } = found;
  const isCropped = Boolean(view.preview) && !view.isCrop;
  if (mode === "difference" && after) drawDifference(found, isCropped, ratio);
  else if (mode === "sides" && after) drawSides(found, isCropped, width, height);
  else {
    drawPart(paint, before, box, false);
    if (after) drawSlider(found, isCropped, height);
  }
  if (view.isCrop) drawBox();
}

function splitAt({ box }) { return view.x + box.width * view.scale * $("split").value / 100; }

function drawSlider(found, isCropped, height) {
  const at = splitAt(found);
  paint.save();
  paint.beginPath();
  paint.rect(at, 0, 1e6, height);
  paint.clip();
  paint.clearRect(at, 0, 1e6, height);
  drawPart(paint, found.after, found.box, isCropped);
  paint.restore();
  paint.fillStyle = "#000a";
  paint.fillRect(at - 2, 0, 4, height);
  paint.fillStyle = "#fff";
  paint.fillRect(at - 1, 0, 2, height);
  paint.beginPath();
  paint.arc(at, height / 2, 11, 0, 7);
  paint.fill();
  label(say("before"), at - 8, "right");
  label(say("after"), at + 8, "left");
}

function drawSides(found, isCropped, width, height) {
  const half = Math.floor(width / 2);
  for (const [image, left, cropped, text] of [[found.before, 0, false, "before"], [found.after, half, isCropped, "after"]]) {
    paint.save();
    paint.beginPath();
    paint.rect(left, 0, half, height);
    paint.clip();
    paint.translate(left, 0);
    drawPart(paint, image, found.box, cropped);
    label(say(text), 8, "left");
    paint.restore();
  }
  paint.fillStyle = "#fff";
  paint.fillRect(half - 1, 0, 2, height);
}

/** Show how far before and after lie apart, many times enlarged, at the resolution of the screen. */
function drawDifference(found, isCropped, ratio) {
  const [one, two] = [[found.before, false], [found.after, isCropped]].map(([image, cropped]) => {
    const layer = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    layer.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawPart(layer, image, found.box, cropped);
    return layer.getImageData(0, 0, canvas.width, canvas.height);
  });
  const gain = Number($("gain").value);
  for (let k = 0; k < one.data.length; k++) {
    one.data[k] = k % 4 === 3 ? one.data[k] : Math.abs(one.data[k] - two.data[k]) * gain;
  }
  paint.putImageData(one, 0, 0);
}

function label(text, x, side) {
  paint.font = "600 13px system-ui, sans-serif";
  const width = paint.measureText(text).width + 12, left = side === "right" ? x - width : x;
  paint.fillStyle = "#000c";
  paint.fillRect(left, 8, width, 22);
  paint.fillStyle = "#fff";
  paint.textAlign = "left";
  paint.fillText(text, left + 6, 24);
}

function drawBox() {
  const { left, top, width, height } = view.box, s = view.scale;
  paint.fillStyle = "#0008";
  paint.beginPath();
  paint.rect(0, 0, canvas.clientWidth, canvas.clientHeight);
  paint.rect(view.x + left * s, view.y + top * s, width * s, height * s);
  paint.fill("evenodd");
  paint.strokeStyle = "#ffc400";
  paint.lineWidth = 2;
  paint.strokeRect(view.x + left * s, view.y + top * s, width * s, height * s);
}

function drawCaption() {
  const found = pair();
  $("whole").hidden = !view.preview;
  $("crop").setAttribute("aria-pressed", String(view.isCrop));
  canvas.setAttribute("aria-label", say(view.isCrop ? "canvas_crop" : "canvas"));
  const mode = document.querySelector("[name=mode]:checked").value;
  $("split-row").hidden = !found?.after || mode !== "slider";
  $("gain-row").hidden = !found?.after || mode !== "difference";
  if (!found) $("caption").textContent = "";
  else if (view.preview && !view.isCrop) $("caption").textContent = say("preview_is", { box: boxText(view.preview.box) });
  else $("caption").textContent = say(view.after ? "whole_is" : "not_restored");
}

const boxText = ({ left, top, width, height }) => `${width} × ${height} at ${left}, ${top}`;

function fit() {
  const found = pair();
  if (!found) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  const isSides = document.querySelector("[name=mode]:checked").value === "sides" && found.after;
  const room = isSides ? width / 2 : width;
  view.scale = Math.min(room / found.box.width, height / found.box.height, 16);
  view.x = (room - found.box.width * view.scale) / 2;
  view.y = (height - found.box.height * view.scale) / 2;
  draw();
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, 0.01), 64), real = scale / view.scale;
  view.x = x - (x - view.x) * real;
  view.y = y - (y - view.y) * real;
  view.scale = scale;
  draw();
}

function clampBox({ left, top, width, height }) {
  const most = view.before ?? shown.picture;
  width = Math.min(Math.max(Math.round(width), 16), most.width);
  height = Math.min(Math.max(Math.round(height), 16), most.height);
  left = Math.min(Math.max(Math.round(left), 0), most.width - width);
  top = Math.min(Math.max(Math.round(top), 0), most.height - height);
  return { left, top, width, height };
}

function chooseBox({ width, height }) {
  const side = 384;
  view.box = clampBox({ left: (width - side) / 2, top: (height - side) / 2, width: side, height: side });
}

async function preview() {
  const item = shown, box = { ...view.box };
  if (!item?.picture) return;
  $("preview").disabled = true;
  let job = null;
  try {
    const crop = [box.left, box.top, box.width, box.height].join(",");
    job = await start(item, { crop, format: "png", depth: "8", quality: "" });
    const events = await ask(job.events);
    await readEvents(events.body, (news) => {
      job = news;
      const text = stateText({ state: news.state, job: news });
      if (shown === item && ACTIVE.includes(news.state)) $("caption").textContent = text;
    });
    if (job.state !== "done") throw new Refusal(422, job.error ?? say(job.state));
    const after = await bitmap(job.after);
    if (shown !== item) return;
    Object.assign(view, { preview: { box, after }, isCrop: false });
    tell(say("said_preview"));
    fit();
    estimate();
  } catch (error) {
    warn(error.message);
    draw();
  } finally {
    $("preview").disabled = false;
    if (job) ask(`/v1/jobs/${job.id}`, { method: "DELETE" }).catch(() => {});
  }
}

// ---- Pointers and keys on the picture

function place(event) {
  const { left, top } = canvas.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

canvas.addEventListener("pointerdown", (event) => {
  const at = place(event), found = pair();
  canvas.setPointerCapture(event.pointerId);
  const isSlider = found?.after && document.querySelector("[name=mode]:checked").value === "slider";
  const does = view.isCrop ? "crop" : isSlider && Math.abs(at.x - splitAt(found)) < 16 ? "split" : "pan";
  pointers.set(event.pointerId, { ...at, start: at, does });
});

canvas.addEventListener("pointermove", (event) => {
  const known = pointers.get(event.pointerId), at = place(event);
  if (!known || !view.before) return;
  const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId);
  if (others.length === 1) {  // two fingers zoom
    const other = others[0][1], length = (point) => Math.hypot(point.x - other.x, point.y - other.y);
    zoom(length(at) / Math.max(length(known), 1), (at.x + other.x) / 2, (at.y + other.y) / 2);
  } else if (known.does === "split") {
    const { box } = pair();
    $("split").value = 100 * (at.x - view.x) / (box.width * view.scale);
  } else if (known.does === "crop") {
    const between = (one, two, origin) => [one, two].map((value) => (value - origin) / view.scale).sort((a, b) => a - b);
    const [left, right] = between(known.start.x, at.x, view.x), [top, bottom] = between(known.start.y, at.y, view.y);
    if (right - left > 4) view.box = clampBox({ left, top, width: right - left, height: bottom - top });
  } else {
    view.x += at.x - known.x;
    view.y += at.y - known.y;
  }
  Object.assign(known, at);
  draw();
});

for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
}

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = place(event);
  zoom(Math.exp(-event.deltaY / 400), at.x, at.y);
}, { passive: false });

canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (step && view.isCrop) {
    const by = Math.max(8, view.box.width / 16), [x, y] = step.map((part) => part * by), { box } = view;
    view.box = clampBox(event.shiftKey ? { ...box, width: box.width + x, height: box.height + y }
      : { ...box, left: box.left + x, top: box.top + y });
  } else if (step) {
    view.x -= 40 * step[0];
    view.y -= 40 * step[1];
  } else if (event.key === "+" || event.key === "=") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "0") fit();
  else if (event.key === "1") toPixels();
  else if (event.key === "Escape" && view.isCrop) view.isCrop = false;
  else return;
  event.preventDefault();
  draw();
});

function toPixels() { zoom(1 / (devicePixelRatio || 1) / view.scale); }

// ---- Beginnings

function listen() {
  $("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
  const drop = $("drop");
  document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  document.addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) add(event.clipboardData.files);
    else if (!event.target.matches("input")) warn(say("no_clipboard"));
  });
  $("add-step").addEventListener("click", addStep);
  $("remove-step").addEventListener("click", () => { $("steps").lastElementChild.remove(); optionsChanged(); });
  $("options").addEventListener("input", optionsChanged);
  $("options").addEventListener("submit", (event) => event.preventDefault());
  $("restore-all").addEventListener("click", () => items.filter(canStart).forEach(restore));
  $("cancel-all").addEventListener("click", () => items.filter(({ state }) => ACTIVE.includes(state)).forEach(cancel));
  $("remove-all").addEventListener("click", () => [...items].forEach(remove));
  $("download-all").addEventListener("click", () => {
    const body = JSON.stringify({ jobs: items.filter(({ state }) => state === "done").map(({ job }) => job.id) });
    download("/v1/archive", "restored.zip", { method: "POST", body, headers: { "content-type": "application/json" } });
  });
  $("split").addEventListener("input", draw);
  $("gain").addEventListener("input", () => { $("gain-shown").value = $("gain").value; draw(); });
  for (const mode of document.querySelectorAll("[name=mode]")) mode.addEventListener("change", fit);
  $("zoom-in").addEventListener("click", () => zoom(1.25));
  $("zoom-out").addEventListener("click", () => zoom(0.8));
  $("fit").addEventListener("click", fit);
  $("pixels").addEventListener("click", toPixels);
  $("crop").addEventListener("click", () => { view.isCrop = !view.isCrop; fit(); if (view.isCrop) canvas.focus(); });
  $("preview").addEventListener("click", preview);
  $("whole").addEventListener("click", () => { view.preview = null; fit(); });
  $("alert").addEventListener("click", () => warn(""));
  new ResizeObserver(fit).observe($("stage"));
}

async function begin() {
  token();
  try {
    words = await (await ask("/words.json")).json();
    tasks = (await (await ask("/v1/models")).json()).tasks;
    listen();
    addStep();
    await recall();
  } catch (error) { warn(error.message); }
  document.body.dataset.ready = "true";
}

begin();

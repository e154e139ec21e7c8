// A submission that runs: what it prints as it comes, and the page once more when it is over.

const MOST = 5000; // pieces that are kept in the page
const FINAL = ["Finished", "Failed", "Cancelled"];

for (const box of document.querySelectorAll("[data-live]")) follow(box);

function follow(box) {
  const log = box.querySelector("[data-live-log]");
  const said = box.querySelector("[data-live-status]");
  const source = new EventSource(box.dataset.live); // comes back by itself, and says where it was
  source.addEventListener("status", (event) => {
    const now = JSON.parse(event.data);
    if (String(now.submission) !== box.dataset.number) return;
    said.textContent = `It is ${now.status.toLowerCase()}.`;
    if (!FINAL.includes(now.status)) return;
    source.close();
    setTimeout(() => location.reload(), 300);
  });
  source.addEventListener("log", (event) => write(log, JSON.parse(event.data)));
  source.addEventListener("plot", (event) => draw(box.querySelector("[data-live-plot]"), JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) said.textContent = "The live log is not there. Load the page again.";
  });
}

function write(log, { submission, name, text }) {
  const down = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const piece = document.createElement("span");
  if (log.dataset.last && log.dataset.last !== String(submission)) text = `\n— ${submission} —\n${text}`;
  log.dataset.last = submission;
  log.hidden = false;
  if (name.endsWith("stderr")) piece.className = "stderr";
  piece.textContent = text;
  log.append(piece);
  while (log.childElementCount > MOST) log.firstElementChild.remove();
  if (down) log.scrollTop = log.scrollHeight;
}

// What programs print as {"type": "plot", "value": [x, y]}, as a line through all points so far.
const points = [];

function draw(plot, { data }) {
  const [x, y] = Array.isArray(data.value) ? data.value.map(Number) : [];
  if (!Number.isFinite(x) || !Number.isFinite(y) || points.length >= MOST) return;
  points.push([x, y]);
  const [left, right] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  const [low, high] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
  const at = ([px, py]) => `${(600 * (px - left)) / (right - left || 1)},${200 - (200 * (py - low)) / (high - low || 1)}`;
  plot.querySelector("polyline").setAttribute("points", points.map(at).join(" "));
  plot.querySelector("title").textContent = `${points.length} points; the last one: ${x}, ${y}`;
  plot.removeAttribute("hidden");
}

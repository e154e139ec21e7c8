// Forms with files: the same request as without scripts, with a bar that shows how far it is, and a way to stop it.

/** Have every form with `data-progress` show how its upload goes on. */
export function uploads(root = document) {
  for (const form of root.querySelectorAll("form[data-progress]")) form.addEventListener("submit", begin);
}

function begin(event) {
  const form = event.currentTarget;
  const files = [...form.querySelectorAll("input[type=file]")].flatMap((field) => [...field.files]);
  if (!files.length || !form.checkValidity()) return;
  event.preventDefault();
  const shown = display(form);
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/html");
  request.setRequestHeader("X-Progress", "1"); // where to go on is then told by a header
  request.upload.addEventListener("progress", (now) => shown.at(now.loaded, now.total));
  request.upload.addEventListener("load", () => shown.say("Uploaded. It is being looked at …"));
  request.addEventListener("load", () => answered(form, request, shown));
  request.addEventListener("error", () => shown.end("The connection was lost. Nothing was kept; try again."));
  request.addEventListener("abort", () => shown.end("Stopped. Nothing was kept."));
  shown.stop.addEventListener("click", () => request.abort());
  request.send(new FormData(form, event.submitter ?? undefined));
}

function answered(form, request, shown) {
  const next = request.getResponseHeader("X-Go");
  if (next) {
    location.assign(next);
    return;
  }
  const page = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("main");
  if (!page) {
    shown.end(`The server answered ${request.status}. Try again later.`);
    return;
  }
  const here = document.querySelector("main");
  here.replaceWith(page);
  uploads(page);
  (page.querySelector("[data-focus]") ?? page).focus();
}

function display(form) {
  form.querySelector(".uploading")?.remove();
  const box = document.createElement("div");
  const bar = document.createElement("progress");
  const text = document.createElement("p");
  const stop = document.createElement("button");
  box.className = "uploading";
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", "Upload");
  text.setAttribute("role", "status");
  text.textContent = "Uploading …";
  stop.type = "button";
  stop.className = "plain small";
  stop.textContent = "Stop";
  box.append(bar, text, stop);
  form.append(box);
  const buttons = [...form.querySelectorAll("button")].filter((each) => each !== stop);
  for (const each of buttons) each.disabled = true;
  let told = -1;
  return {
    stop,
    at(loaded, total) {
      bar.value = total ? loaded / total : 0;
      const tenth = Math.floor(bar.value * 10);
      if (tenth > told) {
        told = tenth; // a screen reader hears of each tenth, not of each packet
        text.textContent = `Uploading … ${Math.round(bar.value * 100)} %`;
      }
    },
    say(words) {
      text.textContent = words;
    },
    end(words) {
      text.textContent = words;
      bar.hidden = stop.hidden = true;
      for (const each of buttons) each.disabled = false;
    },
  };
}

// What views share that look at a mesh while somebody looks at them.

const STILL_THERE_MS = 20_000;

// Tells the model that somebody looks, as long as the panel is in the page and the page is in front.
function presence(model, root) {
  const tell = () => root.isConnected && document.visibilityState === "visible" && act(model, "present");
  const timer = setInterval(tell, STILL_THERE_MS);
  document.addEventListener("visibilitychange", tell);
  setTimeout(tell, 0);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", tell);
    act(model, "left");
  };
}

function watchButton(model) {
  const button = h("button", { type: "button", onclick: () => act(model, model.get("watching") ? "stop" : "start") });
  const status = h("span", { class: "labkit-status", role: "status" });
  const stops = [
    follow(model, "watching", () => (button.textContent = model.get("watching") ? "Stop watching" : "Watch")),
    follow(model, "status", () => (status.textContent = model.get("status"))),
  ];
  return { row: h("div", { class: "labkit-row", style: "align-items:center" }, button, status), stops };
}

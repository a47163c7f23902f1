// Tells the desktop that a batch has ended, where its reader allowed that and is looking elsewhere.
// Everything stays in this browser: no service worker, no push service, no request.

const told = new WeakMap();

export default function (component) {
  const { parentElement, data } = component;
  const button = parentElement.querySelector("button");
  const line = parentElement.querySelector("span");
  const show = () => draw(button, line, data);

  button.onclick = async () => {
    await Notification.requestPermission();
    show();
  };
  show();

  const before = told.get(parentElement);
  told.set(parentElement, data.is_open);
  if (before === true && !data.is_open && isAllowed() && isElsewhere()) {
    notify(data);
  }
}

function notify(data) {
  try {
    const notice = new Notification(data.title, { body: data.text, tag: data.job });
    notice.onclick = () => {
      window.focus();
      notice.close();
    };
  } catch (fault) {
    console.info("This browser shows notices of service workers alone.", fault);
  }
}

function draw(button, line, data) {
  const state = permission();
  button.hidden = !(data.is_open && state === "default");
  line.hidden = !(data.is_open && state !== "default");
  line.textContent = {
    granted: "Your desktop will say when it ends.",
    denied: "This browser blocks notices for this address.",
    none: "Notices need https, or a browser on this machine.",
  }[state] ?? "";
}

function permission() {
  return window.isSecureContext && "Notification" in window ? Notification.permission : "none";
}

function isAllowed() {
  return permission() === "granted";
}

function isElsewhere() {
  return document.hidden || !document.hasFocus();
}

/* The search of a page that is opened from disk: a browser starts no Worker there, so the worker's
   script runs in a hidden frame. The theme asks for the name IFrameWorker; over HTTP nothing changes. */
class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.srcdoc = "<!doctype html><body>";
    this.inside = new Promise((ready, failed) => {
      frame.onload = () => this.run(frame.contentWindow, url, ready, failed);
    });
    document.body.append(frame);
  }

  run(inside, url, ready, failed) {
    inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    const script = inside.document.createElement("script");
    script.src = url;
    script.onload = () => ready(inside);
    script.onerror = failed;
    inside.document.body.append(script);
  }

  postMessage(data) {
    this.inside.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker;
  window.Worker = IFrameWorker;
}

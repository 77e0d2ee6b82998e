"""The built site in a real Chromium: each page in frames of several widths, judged by axe-core.

`AXE_CORE` names axe-core's `axe.min.js`; without it the one that
`npm install --prefix build/axe axe-core` has brought is taken.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

ROOT = Path(__file__).parents[2]
BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
AXE = Path(os.environ.get("AXE_CORE", ROOT / "build/axe/node_modules/axe-core/axe.min.js"))
WIDTHS = (390, 1280)
# One frame after the other; what was found goes back to the server in one request.
HOST = """<!doctype html><title>host</title><body><script>
const loaded = (made) => new Promise((ready, failed) => { made.onload = ready; made.onerror = failed; });
async function look(page, width) {
  const began = performance.now(), frame = document.createElement("iframe");
  Object.assign(frame, {width, height: 900, src: page});
  const there = loaded(frame);
  document.body.append(frame);
  await there;
  const view = frame.contentWindow, script = view.document.createElement("script");
  script.src = "/_axe.js";
  const ready = loaded(script);
  view.document.head.append(script);
  await ready;
  const {violations} = await view.axe.run(view.document, {resultTypes: ["violations"]});
  const said = violations.map(({id, nodes}) => `${id}: ${nodes.length} as ${nodes[0].html.slice(0, 200)}`);
  const root = view.document.documentElement;
  const foreign = view.performance.getEntriesByType("resource").map((each) => each.name)
    .filter((name) => !name.startsWith(location.origin));
  const scheme = view.document.body.getAttribute("data-md-color-scheme");
  frame.remove();
  return {page, width, said, foreign, scheme, wider: root.scrollWidth - root.clientWidth,
    seconds: Math.round(performance.now() - began) / 1000};
}
async function main() {
  const found = [];
  for (const page of PAGES) for (const width of WIDTHS) found.push(await look(page, width));
  return found;
}
main().catch((error) => [{error: `${error}`}])
  .then((found) => fetch("/_found", {method: "POST", body: JSON.stringify(found)}));
</script>"""


class _Site(SimpleHTTPRequestHandler):
    """The site's files, the page that looks at them, and where it leaves what it found."""

    def __init__(self, *args: Any, host: str, found: "Queue[Any]", **kwargs: Any) -> None:
        self._host, self._found = host, found
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        made = {"/_host.html": ("text/html", self._host.encode()), "/_axe.js": ("text/javascript", b"")}
        if self.path not in made:
            super().do_GET()
            return
        kind, body = made[self.path]
        self._answer(kind, body or AXE.read_bytes())

    def do_POST(self) -> None:
        self._found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer("text/plain", b"")

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing: pytest shows what was found."""


def chromium(folder: Path, *more: str, dark: bool = False) -> list[str]:
    """The command, with a profile in `folder` and no way to any other machine."""
    return [
        str(BROWSER),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--proxy-server=127.0.0.1:9",
        "--proxy-bypass-list=127.0.0.1",
        f"--user-data-dir={folder / f'profile-{dark}'}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        *more,
    ]


def looked_at(
    site: Path, pages: Sequence[str], folder: Path, *, dark: bool, seconds: float
) -> list[dict[str, Any]]:
    """What a browser found of each page at each width. Raises queue.Empty after so many seconds."""
    host = HOST.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS))
    found: Queue[Any] = Queue()
    with _served(partial(_Site, directory=str(site), host=host, found=found)) as address:
        command = chromium(folder, "--window-size=1400,1000", f"{address}/_host.html", dark=dark)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                return list(found.get(timeout=seconds))
            finally:
                browser.terminate()


@contextmanager
def _served(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

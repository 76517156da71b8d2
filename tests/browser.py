"""Headless Chromium by the WebDriver protocol, for tests of pages."""

import json
import subprocess
import urllib.request


class Browser:
    """Headless Chromium by the WebDriver protocol."""

    def __init__(self, folder):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       text=True)
        for line in self.driver.stdout:
            if "started successfully on port " in line:
                self.root = f"http://127.0.0.1:{line.split()[-1].rstrip('.')}/session"
                break
        chrome = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu",
                           f"--user-data-dir={folder}", "--window-size=1000,900"]}
        wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}}
        self.root += "/" + self.send("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def send(self, path, value=None, method="POST"):
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.root + path, body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def run(self, script):
        return self.send("/execute/sync", {"script": script, "args": []})

    def widths(self):
        """Returns the width of each image of the page, False for one that did not load."""
        return self.run("return [...document.images].map(i => i.complete && i.naturalWidth)")

    def errors(self):
        return [entry for entry in self.send("/se/log", {"type": "browser"})
                if entry["level"] == "SEVERE" and "favicon" not in entry["message"]]

    def drag(self, kind, start, end):
        moves = [{"type": "pointerMove", "duration": 0, "x": start[0], "y": start[1]},
                 {"type": "pointerDown", "button": 0},
                 {"type": "pointerMove", "duration": 100, "x": end[0], "y": end[1]},
                 {"type": "pointerUp", "button": 0}]
        self.send("/actions", {"actions": [{"type": "pointer", "id": kind, "actions": moves,
                                            "parameters": {"pointerType": kind}}]})

    def close(self):
        self.send("", None, "DELETE")
        self.driver.terminate()
        self.driver.wait()

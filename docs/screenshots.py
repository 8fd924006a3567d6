"""Draw docs/screenshots/: `PYTHONPATH=tests python docs/screenshots.py`.

It starts a Parley of its own with sample conversations and looks at the running page in light and
dark, on a desk and in a hand.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from fakes.model_process import ModelProcess
from house import House
from parley_launcher.browser import find
from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent / "screenshots"
DESKTOP, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 844}
SETTLED_MS = 800
"""Fonts and the first patches are there by then."""

QUESTION = "Our bread came out dense. What would you change? 500 g flour, 300 g water, 10 g salt."
ANSWER = """\
Two things stand out: the dough is a little dry, and it probably rose too briefly.

| | yours | try |
|---|---|---|
| water | 60 % | **70 %** |
| first rise | 1 h | until *doubled*, about 3 h |
| oven | 200 °C | 240 °C, with steam |

Fold the dough three times in the first hour; that replaces kneading."""
MORE = "And if we bake three loaves?"
CALL = {"expression": "3 * 500 * 0.70"}
CALCULATED = """\
Three loaves take **1,050 g of water** for 1.5 kg of flour, at the same hydration:

$$h = \\frac{m_{water}}{m_{flour}} = \\frac{1050}{1500} = 70\\,\\%$$

```python
flour = 3 * 500
water = flour * 0.70   # 1050 g
```

The salt grows alike, to 30 g. Time and temperature stay as they are."""
STEPS = [
    {"type": "reasoning", "step": 0, "text": "Everything scales with the flour but the time."},
    {
        "type": "tool",
        "step": 0,
        "call_id": "1",
        "name": "calculator",
        "arguments": json.dumps(CALL),
        "output": "1050.0",
        "status": "ok",
        "duration_ms": 2,
    },
    {"type": "text", "step": 2, "text": CALCULATED},
]
THREADS: dict[str, list[str]] = {
    "Plan for the week": ["What is left from Monday?", "Two things: the invoice and the bicycle."],
    "Names for a boat": ["Something with wind.", "*Zephyr*, *Mistral*, or plainly *Breeze*."],
    "Why leaves turn red": ["And not blue?", "Because of anthocyanins, which …"],
    "Letter to the landlord": ["Friendly, but firm.", "Dear Ms Lindner, …"],
    "Bread, but lighter": [QUESTION, ANSWER, MORE, CALCULATED],
}


def call(house: House, path: str, body: object) -> Any:
    """Post JSON to the API and return the JSON that answers."""
    request = urllib.request.Request(  # noqa: S310 (our own house, on loopback)
        house.url + path,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {house.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


def fill(house: House) -> str:
    """Import the sample threads; return the id of the last one."""
    thread_id = ""
    for title, texts in THREADS.items():
        messages: list[dict[str, object]] = [
            {"role": "agent" if number % 2 else "user", "text": text}
            for number, text in enumerate(texts)
        ]
        if texts[-1] == CALCULATED:
            messages[-1]["parts"] = STEPS
        imported = call(house, "/api/threads/import", {"title": title, "messages": messages})
        thread_id = imported["id"]
    return thread_id


def draw(browser: Browser, house: House, thread_id: str) -> None:
    """Save every picture."""
    for scheme in ("light", "dark"):
        for device, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
            page = context.new_page()
            _save(page, f"{house.url}/signin", f"signin-{scheme}-{device}")
            page.goto(f"{house.url}/#token={house.token}")
            page.wait_for_selector("#text")
            _save(page, f"{house.url}/t/{thread_id}", f"thread-{scheme}-{device}")
            context.close()


def _save(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=FOLDER / f"{name}.png")


def main() -> None:
    """Draw all pictures anew."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        model = ModelProcess()
        house = House(Path(folder), LOCAL_BASE_URL=model.url).start()
        try:
            browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
            draw(browser, house, fill(house))
            browser.close()
        finally:
            house.stop()
            model.kill()


if __name__ == "__main__":
    main()

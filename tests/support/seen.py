"""What a browser shows, and what is done in it; everything is waited for, nothing slept for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 60

FOCUSABLE = """
const kinds = "a[href], button, input, select, summary, [tabindex='0']";
const found = [...document.querySelectorAll(kinds)]
  .filter(each => each.checkVisibility() && !each.disabled);
return found.map(each => each.id || each.getAttribute("aria-label") || each.textContent.trim());
"""
"""What can be reached with a pointer, in the order of the page."""

_FOCUSED = """
const each = document.activeElement;
return each.id || each.getAttribute("aria-label") || each.textContent.trim();
"""

CONTRAST = """
function parse(color) { return color.match(/[\\d.]+/g).map(Number); }
function luminance([r, g, b]) {
  const [x, y, z] = [r, g, b].map(each => {
    const c = each / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
function background(element) {
  for (let each = element; each; each = each.parentElement) {
    const found = parse(getComputedStyle(each).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
}
const low = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let seen = 0;
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const color = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
  const [a, b] = [luminance(parse(color)), luminance(background(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  seen += 1;
  if (ratio < 4.5) low.push(`${walker.currentNode.textContent.trim().slice(0, 40)}: ${ratio}`);
}
return JSON.stringify(seen > 20 ? low : ["there is hardly any text"]);
"""
"""Texts whose contrast is less than WCAG 2 asks for at AA, with their ratio."""


BEYOND = "const page = document.documentElement; return page.scrollWidth - page.clientWidth;"
"""By how much a page is wider than the screen."""


class Seen:
    """A browser.

    Args:
        driver: Selenium's.

    Attributes:
        driver: As given.
        error: What Selenium raises for a script's error.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        exceptions = pytest.importorskip("selenium.common.exceptions")
        self.error: type[Exception] = exceptions.JavascriptException
        self._stale: type[Exception] = exceptions.StaleElementReferenceException

    def open(self, url: str) -> None:
        """Load a page anew, whatever was open."""
        self.driver.get("about:blank")
        self.driver.get(url)

    def be(self, width: int, scheme: str) -> None:
        """Be a screen of that width, in the light or in the dark."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def count(self, selector: str) -> int:
        found: int = self.run("return document.querySelectorAll(arguments[0]).length", selector)
        return found

    def text(self, selector: str) -> str:
        """What is shown of all such elements; spaces are as good as line ends."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)"
        return " ".join(" ".join(self.run(script, selector)).split())

    def attribute(self, selector: str, name: str) -> str | None:
        script = "return document.querySelector(arguments[0]).getAttribute(arguments[1])"
        found: str | None = self.run(script, selector, name)
        return found

    def is_shown(self, selector: str) -> bool:
        return bool(
            self.run("return document.querySelector(arguments[0]).checkVisibility()", selector)
        )

    def wait_for_text(self, selector: str, *texts: str, absent: bool = False) -> None:
        """Wait until all of these texts are shown there, or none is."""
        self.wait(
            lambda: all((text in self.text(selector)) is not absent for text in texts),
            lambda: f"{texts} in {selector}, which shows: {self.text(selector)[:500]}",
        )

    def wait(self, happened: Callable[[], object], what: Callable[[], str]) -> None:
        waiting = pytest.importorskip("selenium.webdriver.support.wait")
        try:
            waiting.WebDriverWait(self.driver, _SECONDS, 0.05).until(lambda _driver: happened())
        except pytest.importorskip("selenium.common.exceptions").TimeoutException:
            pytest.fail(f"waited {_SECONDS} s for {what()}")

    def _element(self, selector: str) -> Any:
        self.wait(lambda: self.count(selector) > 0, lambda: selector)
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """Click, also where the element is replaced in the same moment."""

        def clicked() -> bool:
            try:
                element = self._element(selector)
                self.run("arguments[0].scrollIntoView({block: 'center'})", element)
                element.click()
            except self._stale:
                return False
            return True

        self.wait(clicked, lambda: f"a click on {selector}")

    def type(self, selector: str, text: str) -> None:
        """Type into a field, in place of what is there."""
        field = self._element(selector)
        field.clear()
        field.send_keys(text)

    def press(self, selector: str, key: str) -> None:
        """Press a key where an element has the focus."""
        self._element(selector).send_keys(key)

    def tabbed_through(self, count: int) -> list[str]:
        """What has the focus after each press of Tab, from the top of the page."""
        self.run("document.activeElement.blur(); window.scrollTo(0, 0)")
        body = self.driver.find_element("css selector", "body")
        found: list[str] = []
        for _ in range(count):
            (body if not found else self.driver.switch_to.active_element).send_keys("\ue004")
            found.append(str(self.run(_FOCUSED)))
        return found

    def forget_messages(self) -> None:
        """Take what the browser has complained of so far as expected."""
        self.driver.get_log("browser")

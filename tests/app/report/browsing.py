"""What a reader does with the page, by way of selenium."""

from collections.abc import Callable
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

WIDTH, HEIGHT, PHONE = 1300, 900, 390
NONE = "\N{EN DASH}"
"""What a table has for no number."""


def on_screen(driver: Chrome, width: int, theme: str, medium: str = "screen") -> None:
    metrics = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": theme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})


def by_id(driver: Chrome, name: str) -> WebElement:
    return driver.find_element(By.ID, name)


def click(node: WebElement) -> None:
    """Click where the bar at the top is not in the way."""
    node.parent.execute_script("arguments[0].scrollIntoView({block: 'center'})", node)
    node.click()


def until(driver: Chrome, condition: Callable[[Chrome], Any]) -> Any:
    return WebDriverWait(driver, 20, poll_frequency=0.05).until(condition)


def show(driver: Chrome, figure: str) -> None:
    """Scroll to a figure and wait until it is drawn."""
    driver.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", by_id(driver, figure))
    until(driver, lambda _: driver.find_elements(By.CSS_SELECTOR, f"#{figure} svg.main-svg"))


def traces(driver: Chrome, figure: str) -> list[str]:
    """Names of what a figure has in its legend."""
    names: list[str] = driver.execute_script(
        "return document.getElementById(arguments[0]).data.filter(t => t.showlegend !== false && t.name)"
        ".map(t => t.name)",
        figure,
    )
    return names


def column(driver: Chrome, name: str) -> list[str]:
    """Texts in a column of the rows that are shown, from top to bottom."""
    texts: list[str] = driver.execute_script(
        "return [...document.querySelectorAll(`#run-table tbody tr:not([hidden]) .${arguments[0]}`)]"
        ".map(cell => cell.textContent)",
        name,
    )
    return texts

"""What axe-core finds on a page: broken rules of WCAG 2 at A and AA, and whatever else is serious, by element.

And what Chromium hands to a screen reader of the element that has the keyboard.
"""

import io
import os
import time
from typing import NamedTuple

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

AXE = Axe()
GRAVE = ("serious", "critical")
MARGIN = 6  # pixels around an element, in which its outline is looked for
DAY = int(time.time()) // 86_400


def take_turns(cases, share):
    """All cases with XNB_TRUST=1; otherwise one in so many, others each day."""
    cases = list(cases)
    if "XNB_TRUST" in os.environ:
        return cases
    return [case for number, case in enumerate(cases) if (number + DAY) % share == 0]


class Stop(NamedTuple):
    """Where Tab has led."""

    role: str
    name: str


def find_faults(page, within="body"):
    """One line a fault: the rule, how grave it is, the element, and what is wrong with it.

    Args:
        within: selector of the part of the page that is ours.
    """
    found = AXE.run(page, context=within, options={"resultTypes": ["violations"]}).response
    faults = []
    for rule in found["violations"]:
        if rule["impact"] not in GRAVE and not any(tag.startswith("wcag2") for tag in rule["tags"]):
            continue
        for node in rule["nodes"]:
            why = " ".join(node["failureSummary"].split())
            faults.append(f"{rule['id']} ({rule['impact']}): {node['target'][-1]}: {why}")
    return faults


def describe_focus(page, session):
    """Role and name of the element that has the keyboard, as Chromium hands them to a screen reader."""
    element = session.send("Runtime.evaluate", {"expression": "document.activeElement"})["result"]["objectId"]
    tree = session.send("Accessibility.getPartialAXTree", {"objectId": element, "fetchRelatives": False})
    node = tree["nodes"][0]
    return Stop(node["role"]["value"], node.get("name", {}).get("value", ""))


def has_focus(root):
    """Whether the keyboard is in this part of the page."""
    return root.evaluate("e => e.contains(document.activeElement) && e !== document.activeElement")


def is_outlined(page):
    """Whether the element that has the keyboard looks otherwise than without it; it keeps it."""
    element = page.evaluate_handle("document.activeElement").as_element()
    element.scroll_into_view_if_needed()
    with_keyboard = shoot_around(page, element)
    element.evaluate("e => e.blur()")
    without = shoot_around(page, element)
    element.evaluate("e => e.focus({focusVisible: true})")
    return not np.array_equal(with_keyboard, without)


def shoot_around(page, element):
    """Pixels of an element and of a margin around it."""
    box = element.bounding_box()
    left, top = (max(0, box[side] - MARGIN) for side in ("x", "y"))
    size = {side: box[side] + 2 * MARGIN for side in ("width", "height")}
    shot = page.screenshot(clip={"x": left, "y": top, **size}, animations="disabled", caret="hide")
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def walk_by_tab(page, root, most=100):
    """Press Tab from the first control of a part of the page until it is left: each stop, and whether it is seen.

    Yields once a stop, so that keys can be pressed there.
    """
    session = page.context.new_cdp_session(page)
    root.locator("a[href], button, input, select, summary, [tabindex='0'], [contenteditable=true]").locator(
        "visible=true"
    ).first.focus()
    for _ in range(most):
        if not has_focus(root):
            break
        yield describe_focus(page, session), is_outlined(page)
        page.keyboard.press("Tab")
    session.detach()

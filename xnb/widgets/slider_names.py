"""Names of sliders for readers who cannot see them, and an outline around the control that has the keyboard."""

from html import escape

import ipywidgets as W

PANEL_CLASS = "xnb-panel"

# ipywidgets writes a slider's description beside its handle, and not on it: a screen reader would say "slider, 3".
# What stands in a panel later, as the knobs of another method, is named when it comes.
_NAME_SLIDERS = """
const panel = this.closest('.xnb-panel');
const name = () => panel.querySelectorAll('.widget-slider').forEach(slider => {
    const find = part => slider.querySelector(part);
    const [handle, readout] = [find('.noUi-handle'), find('.widget-readout')];
    const label = find('.widget-label').textContent;
    const off = find('.slider').hasAttribute('disabled');
    const said = {'aria-label': label, 'aria-valuetext': readout.textContent, 'aria-disabled': off};
    Object.entries(said).forEach(([attribute, value]) => handle.setAttribute(attribute, value));
    handle.tabIndex = off ? -1 : 0;
    readout.setAttribute('role', 'textbox');
    readout.setAttribute('aria-label', label + ', to type');
});
if (!panel.dataset.named) {
    panel.dataset.named = 'yes';
    new MutationObserver(name).observe(panel, {childList: true, subtree: true});
}
name();
"""
# What is wider than its column shrinks: a box that scrolls could not be reached by keyboard.
_STYLE = f"""
.{PANEL_CLASS} :focus-visible {{ outline: 2px solid currentColor !important; outline-offset: 1px; }}
.{PANEL_CLASS} .widget-html {{ max-width: calc(100% - 4px); }}
.{PANEL_CLASS} .widget-html-content {{ min-width: 0; }}
"""


def make_slider_names() -> W.HTML:
    """Make the part of a panel that is not seen: it names the sliders of the panel around it.

    A style sheet's `onload` runs as soon as it stands on a page. Where a page allows no scripts nothing happens, and
    sliders have their descriptions beside them.
    """
    page = f'<style onload="{escape(_NAME_SLIDERS)}">{_STYLE}</style>'
    return W.HTML(page, layout=W.Layout(display="none"))

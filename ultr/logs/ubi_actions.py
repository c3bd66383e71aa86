"""What a UBI log calls a click and an impression."""

from __future__ import annotations

from dataclasses import dataclass

from ultr.errors import UsageError

CLICKS = ("click", "item_click", "product_click", "result_click")
IMPRESSIONS = ("impression", "item_impression", "product_impression", "view")


@dataclass(frozen=True)
class Actions:
    """What the log calls a click and an impression; capitals do not matter.

    Args:
        click: the document was clicked.
        impression: the document was shown on its page.
    """

    click: tuple[str, ...] = CLICKS
    impression: tuple[str, ...] = IMPRESSIONS

    def __post_init__(self) -> None:
        """Check that they differ.

        Raises:
            UsageError: no name, or one for both.
        """
        click, shown = ({n.lower() for n in names} for names in (self.click, self.impression))
        if not click or not shown or click & shown:
            raise UsageError(
                "clicks and impressions have names, and not the same",
                got=f"click: {', '.join(self.click)}; impression: {', '.join(self.impression)}",
                hint="give --click-action and --impression-action",
            )

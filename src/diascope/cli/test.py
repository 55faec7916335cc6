"""diascope test: judge a study on its test side."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diascope.cli.run import DeviceOption, TrustOption


def test(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study folder.")],
    arms: Annotated[
        list[str] | None, typer.Option("--arm", metavar="NAME", help="Judge this arm only. Can be given several times.")
    ] = None,
    checkpoint: Annotated[
        Literal["best", "last"],
        typer.Option(help="The weights of the epoch that the validation side chose, or those of the last epoch."),
    ] = "best",
    device: DeviceOption = "auto",
    trust_code: TrustOption = False,
) -> None:
    """Judge the finished runs of a study on its test side, which no training has seen, and rebuild the report.

    Do this once, when all is trained and decided. Every call is logged in test_log.json and shown in the report.

    Example: diascope test moles-study --arm dropout
    """
    from diascope.app.judge import judge_and_report
    from diascope.cli.display import Display
    from diascope.cli.judge_display import say_judged

    with Display() as display:
        judged, page = judge_and_report(
            folder, display, arms=arms or (), checkpoint=checkpoint, device=device, trust_code=trust_code
        )
    say_judged(folder, judged, page)

"""diascope probe: does a trained network cheat?"""

from pathlib import Path
from typing import Annotated

import typer

from diascope.cli.run import DeviceOption, TrustOption


def probe(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run, DIR/runs/ARM/fold0-seed0; or DIR: the first run of each arm.")
    ],
    centre: Annotated[
        float,
        typer.Option(help="Radius of the centre, where real signs are, in sides of the image.", min=0.05, max=0.7),
    ] = 0.4,
    text: Annotated[bool, typer.Option(help="Look for burned-in text, which takes up to half a minute.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Probe anew what was probed already.")] = False,
    device: DeviceOption = "auto",
    trust_code: TrustOption = False,
) -> None:
    """Probe a trained network for shortcuts: corners, frame, rim, brightness, burned-in text, the user's columns.

    Trains two more networks of the run's configuration, on the rim of the images alone and on their centre alone, to
    see what the data offer; exchanges parts between images, and erases them, to see what the trained network uses.
    Results go into probes.json and the report.

    Example: diascope probe moles-study, or diascope probe moles-study/runs/dropout/fold0-seed0
    """
    from diascope.app.probe import probe as probe_runs
    from diascope.app.probe import study_of
    from diascope.cli.display import Display, say_probed, say_stopped
    from diascope.cli.terminal import say
    from diascope.probes import Options
    from diascope.report.page import write_report

    options = Options(centre, text)
    try:
        with Display() as display:
            found = probe_runs(folder, display, options=options, device=device, again=again, trust_code=trust_code)
    except KeyboardInterrupt:
        say_stopped()
        raise typer.Exit(130) from None
    say_probed(found)
    say(f"Report: {write_report(study_of(folder))}")

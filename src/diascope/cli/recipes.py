"""diascope recipes: the built-in studies."""

from typing import Annotated

import typer


def recipes(name: Annotated[str | None, typer.Argument(help="Print this recipe's study file.")] = None) -> None:
    """List the built-in studies, or print one as a study file to start from.

    Example: diascope recipes lab-1a > my-study.yaml
    """
    from diascope.recipes import recipe_names, recipe_text

    if name:
        print(recipe_text(name), end="")
        return
    width = max(map(len, recipe_names()))
    for recipe in recipe_names():
        title = recipe_text(recipe).partition("\n")[0].removeprefix("#").strip()
        print(f"{recipe:<{width}}  {title}")
    print("\nRun one on drawn images: diascope run lab-1a. On your own: --set data.source=FOLDER.")

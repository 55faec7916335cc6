"""diascope schema: the JSON Schema of study files."""


def schema() -> None:
    """Print the JSON Schema of study files, for editors that complete and check them.

    Example: diascope schema > study.schema.json, and in the study file the line
    "# yaml-language-server: $schema=study.schema.json".
    """
    import json

    from diascope.config import StudyConfig

    tree = StudyConfig.model_json_schema()
    tree["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(tree, indent=2))

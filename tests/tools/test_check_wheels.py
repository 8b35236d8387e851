"""What ``tools.check_wheels`` asks pip for."""

import tomllib

from tools.check_wheels import requirements
from tools.tables import ROOT


def test_extras_and_groups_are_resolved_with_the_package_itself() -> None:
    project = {
        "project": {
            "name": "unmix",
            "dependencies": ["numpy>=1"],
            "optional-dependencies": {
                "train": ["lightning"],
                "evaluate": ["jinja2", "pillow"],
                "all": ["unmix[train, evaluate]"],
            },
        },
        "dependency-groups": {
            "test": ["unmix[all]", "pytest"],
            "dev": [{"include-group": "test"}, "ruff"],
        },
    }
    assert requirements(project) == {
        "(none)": ["numpy>=1"],
        "train": ["numpy>=1", "lightning"],
        "evaluate": ["numpy>=1", "jinja2", "pillow"],
        "all": ["numpy>=1", "lightning", "jinja2", "pillow"],
        "test": ["numpy>=1", "lightning", "jinja2", "pillow", "pytest"],
        "dev": ["numpy>=1", "lightning", "jinja2", "pillow", "pytest", "ruff"],
    }


def test_every_requirement_of_the_project_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = requirements(project)
    assert asked["(none)"] == project["project"]["dependencies"]
    assert not any(need.startswith("unmix") for needed in asked.values() for need in needed)
    assert set(project["project"]["optional-dependencies"]) < set(asked)

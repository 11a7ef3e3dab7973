import re
from pathlib import Path

import pytest

from tests.vectors.sections import HERE, sections

ROOT = HERE.parent.parent
TABLE = dict(
    re.findall(r"^\| `(\w+)` \| (.+) \|$", (HERE / "README.md").read_text(), re.M)
)


def test_every_section_is_tested_or_listed_with_a_reason():
    assert sorted(TABLE) == sorted(sections())


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_section_is_used_where_the_table_says(name: str):
    used_in = re.match(r"`(tests/\S+\.py)`", TABLE[name])

    if used_in:
        assert f'section("{name}")' in Path(ROOT / used_in[1]).read_text()
    else:
        assert TABLE[name].startswith("no counterpart: ")

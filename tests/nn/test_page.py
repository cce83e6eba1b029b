"""The Python example of docs/networks.md runs."""

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()


def test_the_python_example_runs(capsys) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    names: dict[str, Any] = {}
    exec(compile(code, "docs/networks.md", "exec"), names)
    assert names["model"].score(*names["data"].test) > 0.9
    assert "'standardize', 'dense', 'batch_norm', 'activation'" in capsys.readouterr().out

"""What the tests of the shipped agents share."""

from __future__ import annotations

import pytest

from executor.agents.data_analyst.errors import AnalysisError
from tests.agents.analyst_run import Run


@pytest.fixture
def analyse(tmp_path):
    def analyse(files, description="Analyse the data", **kwargs):
        return Run(tmp_path, files, description, **kwargs)

    return analyse


@pytest.fixture
def refusal(tmp_path):
    def refusal(files, description="Analyse the data", **kwargs):
        with pytest.raises(AnalysisError) as caught:
            Run(tmp_path, files, description, **kwargs)
        return str(caught.value)

    return refusal

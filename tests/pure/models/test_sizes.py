"""What stands in a file is checked before a net is built of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rigwise.errors import UsageError
from rigwise.models import convnet, densenet, detection, inception, mlp, mobile, recurrent, resnet
from rigwise.models.sizes import check_sizes

DEPTHS = {"depths": [3, 4, 6, 3]}
WORDS = {"vocab": 10, "hidden": 4, "layers": 2}


@pytest.mark.parametrize("value", [1, 7, [1, 2], (3,), [[1, 2], [3]], None])
def test_sizes_that_fit(value: object) -> None:
    check_sizes(size=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True, [], [1, 0], [[1], []], [1, None], {}])
def test_sizes_that_do_not(value: object) -> None:
    with pytest.raises(UsageError, match="size="):
        check_sizes(size=value)


@pytest.mark.parametrize(
    ("builder", "arguments", "says"),
    [
        (resnet.resnet, {"depths": "abc"}, "depths='abc'"),
        (resnet.resnet, {"depths": [-3, 4, 6, 3]}, "at least 1"),
        (resnet.resnet, {"depths": [3, 4]}, "4 items"),
        (resnet.resnet, DEPTHS | {"image": [3]}, "without height and width"),
        (resnet.resnet, DEPTHS | {"image": [3, "a", 2]}, "image="),
        (resnet.resnet, DEPTHS | {"excite": -1}, "at least 0"),
        (densenet.densenet, {"depths": [2], "growth": 0}, "growth=0"),
        (inception.googlenet, {"modules": [1, 2, 3]}, "three groups"),
        (inception.googlenet, {"modules": [[[1, 2]], [[1]], [[1]]]}, "6 widths"),
        (inception.inception_v3, {"image": [3, 40, 40]}, "leaves nothing"),
        (mobile.inverted, {"stages": [[1, 2, 3, "a", 3]]}, "stages="),
        (mobile.inverted, {"stages": [[1, 2, 3]]}, "5 items"),
        (mobile.inverted, {"stages": [[1, 16, 1, 1, 3]], "width": 0}, "factors above 0"),
        (mobile.shufflenet_v2, {"repeats": [1]}, "3 items"),
        (mobile.squeezenet, {"fires": [1]}, "fires"),
        (detection.ssd300, {"boxes": [4, 6]}, "6 items"),
        (detection.mask_rcnn, {"regions": 0}, "regions=0"),
        (convnet.chain, {"image": [3, 8, 8], "blocks": [["conv 3 3", 5]]}, "a layer 5"),
        (convnet.chain, {"image": [3, 8, 8], "blocks": ["conv 3 3"]}, "list of blocks"),
        (mlp.mlp, {"sizes": 5}, "an input and an output"),
        (recurrent.language_model, WORDS | {"vocab": 1.5}, "vocab=1.5"),
        (recurrent.language_model, WORDS | {"embedding": -4}, "embedding=-4"),
        (recurrent.gnmt, {"target": 0}, "target=0"),
    ],
)
def test_no_builder_takes_what_cannot_be(builder: Callable[..., Any], arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        builder(**arguments)

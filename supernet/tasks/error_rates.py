"""Error rates of telling whether a claim is true, from the scores of a classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.tasks.task import labelled


def equal_error_rate(logits: Tensor, targets: Tensor) -> float:
    """The equal error rate of the closed-set verification of claims, from 0 to 1.

    Every sample is held against every class: the score of the claim "this is of class c" is the logit of c, and the
    claim is true for the sample's own class alone.  A claim is accepted where its score reaches a threshold, one for
    all samples and classes; the result is where as many true claims are refused as false ones accepted, in shares,
    exact over all thresholds, interpolated linearly between the two around the crossing.

    It is *not* the rate that speaker verification reports (EfficientTDNN on VoxCeleb1 for example): there the speakers
    were never seen in training, and two recordings are compared by their embeddings.  NaN where a logit is NaN.

    logits (..., classes), targets (...).
    """
    logits_NC, targets_N = labelled(logits, targets)
    if bool(logits_NC.isnan().any()):
        return float("nan")
    genuine = torch.nn.functional.one_hot(targets_N, logits_NC.shape[1]).bool().flatten()
    scores, order = logits_NC.flatten().sort(descending=True)
    accepted = genuine[order].cumsum(0)  # true claims among the i + 1 that score best
    # Equal scores are accepted together, so that only the last of them is a threshold.
    last = torch.cat((scores[1:] != scores[:-1], torch.ones(1, dtype=torch.bool, device=scores.device)))
    places = torch.nonzero(last).flatten()
    true, false = accepted[places].double(), (places + 1 - accepted[places]).double()
    refused = torch.cat((torch.ones(1), (1 - true / len(targets_N)).cpu())).double()  # before all: nothing is accepted
    passed = torch.cat((torch.zeros(1), (false / (len(genuine) - len(targets_N))).cpu())).double()
    crossing = int((passed >= refused).nonzero()[0])
    gap = float(refused[crossing - 1] - passed[crossing - 1])
    excess = float(passed[crossing] - refused[crossing])
    share = gap / (gap + excess)
    return float(passed[crossing - 1] + share * (passed[crossing] - passed[crossing - 1]))

"""The focal loss: what is easy counts for little (Lin 2017; Cao, equations 1 and 2)."""

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torchvision.ops import sigmoid_focal_loss  # type: ignore[import-untyped]

ALPHA, GAMMA = 0.25, 2.0  # Lin 2017, table 1


def sigmoid_focal(
    logits: Tensor, truth: Tensor, *, alpha: float = ALPHA, gamma: float = GAMMA
) -> Tensor:
    """Return the loss of each logit, where each stands for a question of its own.

    Alpha is the weight of a yes, one minus alpha that of a no. The caller adds up and divides by
    the number of yeses: nearly all anchors are background, and a mean would be theirs.
    """
    loss: Tensor = sigmoid_focal_loss(logits.float(), truth.float(), alpha, gamma)
    return loss


def softmax_focal(logits: Tensor, labels: Tensor, *, gamma: float = GAMMA) -> Tensor:
    """Return the mean loss of N K logits, where one of K classes is true.

    There is no alpha, because Cao's equation 1 has none.
    """
    log_p = F.log_softmax(logits.float(), dim=1).gather(1, labels[:, None])  # N 1
    return -((1 - log_p.exp()) ** gamma * log_p).mean()

"""Pure functions of distributions: log(1 - p), and the divergence of a student from a teacher.

Letters: P places, V vocabulary. The divergences hold a few [P, V] tensors for the backward pass: give them a chunk of
places at a time. They leave to others where the logits come from, and that the two vocabularies are the same.
"""

import torch
from torch import Tensor

_LN2 = 0.6931471805599453


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision as float32; wider types as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def log1mexp(logp: Tensor) -> Tensor:
    """log(1 - exp(logp)), for logp up to 0, exact at both ends (Maechler, 2012, eq. 7).

    Nearer to 0 than the type's eps, where a log-probability is rounding only, it goes on as a straight line. So it and
    its gradient stay finite at p = 1, and for a logp that rounding has put above 0.
    """
    eps = torch.finfo(logp.dtype).eps
    inside = logp.clamp(max=-eps)
    near_one = inside > -_LN2
    small = torch.log(-torch.expm1(inside))
    # A branch not taken still sends its gradient, times zero: where exp rounds to 1 this one's would not be a number.
    large = torch.log1p(-torch.exp(torch.where(near_one, -_LN2, inside)))
    return torch.where(near_one, small, large) - (logp + eps).clamp(min=0) / eps


def forward_kl(student_logits_PV: Tensor, teacher_logits_PV: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || student) at each place, both softened by temperature T: [P].

    The student must cover everything the teacher holds likely. T^2 keeps the gradient's size when T changes (Hinton,
    Vinyals and Dean, 2015, section 2). Gradients flow to whichever side wants them; logits must be finite.
    """
    return _kl(teacher_logits_PV, student_logits_PV, temperature)


def reverse_kl(student_logits_PV: Tensor, teacher_logits_PV: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(student || teacher) at each place, both softened by temperature T: [P].

    The student must put nothing where the teacher holds little likely; it may leave some of what the teacher would say
    (Gu et al., 2024). The rest is as for `forward_kl`.
    """
    return _kl(student_logits_PV, teacher_logits_PV, temperature)


def _kl(from_PV: Tensor, to_PV: Tensor, temperature: float) -> Tensor:
    from_logp_PV = torch.log_softmax(at_least_float32(from_PV) / temperature, dim=-1)
    to_logp_PV = torch.log_softmax(at_least_float32(to_PV) / temperature, dim=-1)
    return (from_logp_PV.exp() * (from_logp_PV - to_logp_PV)).sum(dim=-1) * temperature**2

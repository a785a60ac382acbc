"""The image head's start, and photos that do not exist.

The start: hidden unit c of the head is GELU(logit of ImageNet class c - 5), nearly "c is in the photo", and its output
column is c's text vector, so that before any training the network says what the supervised classifier sees, in words
(ConSE, Norouzi et al. 2014). The spare hidden units are a ridge regression from the features to the captions,
its largest singular directions, passed through the straight part of GELU. One constant unit stands in for the bias that open_clip's
`mlp` projection lacks.
"""
import torch, torch.nn as nn, torch.nn.functional as F


class Head(nn.Module):
    """open_clip's timm `mlp` projection over standardised features (folded into fc1 at export)."""

    def __init__(self, mean, std, dim):
        super().__init__()
        self.register_buffer("mean", mean); self.register_buffer("std", std)
        self.fc1 = nn.Linear(len(mean), 2 * dim)
        self.fc2 = nn.Linear(2 * dim, dim, bias=False)

    def forward(self, x):
        return F.normalize(self.fc2(F.gelu(self.fc1((x - self.mean) / self.std))).float(), dim=-1)

    def folded(self):
        w = self.fc1.weight / self.std
        return {"visual.head.mlp.fc1.weight": w, "visual.head.mlp.fc1.bias": self.fc1.bias - w @ self.mean,
                "visual.head.mlp.fc2.weight": self.fc2.weight}

    @torch.no_grad()
    def unfold(self, state):
        w = state["visual.head.mlp.fc1.weight"]
        self.fc1.weight.copy_(w * self.std)
        self.fc1.bias.copy_(state["visual.head.mlp.fc1.bias"] + w @ self.mean)
        self.fc2.weight.copy_(state["visual.head.mlp.fc2.weight"])


@torch.no_grad()
def start(head, classifier, class_text, features, text, beta=5.0, gain=50.0, ridge=12000):
    """class_text [1000,d], text [n,d]: mean caption vector of each photo of features [n,1280]."""
    hidden, known = head.fc1.out_features, len(class_text)
    spare = hidden - known - 1
    x = (features - head.mean) / head.std
    w1, b1, w2 = head.fc1.weight.zero_(), head.fc1.bias.zero_(), head.fc2.weight.zero_()
    w1[:known] = classifier.weight * head.std
    b1[:known] = classifier.bias + classifier.weight @ head.mean - beta
    w2[:, :known] = class_text.T
    ridge_map = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ text)      # [1280,d]
    u, s, v = torch.linalg.svd(ridge_map)
    n = min(spare, len(s))
    w1[known:known + n], b1[known:-1], b1[-1] = u.T[:n], 6, 1
    w1[known:known + n] *= 1 / (x @ u[:, :n]).std(0)[:, None]                    # unit deviation: stays where GELU is straight
    w2[:, known:known + n] = gain * (s[:n] * (x @ u[:, :n]).std(0))[None] * v[:n].T
    w2[:, -1] = -6 * w2[:, known:-1].sum(1)


class Pseudo:
    """Features of photos of any class: a real photo's, moved against its own class and towards the wanted one along
    (feature covariance x classifier row), until the classifier is as sure as it is of some real photo."""

    def __init__(self, classifier, features, rng):
        self.c, self.rng = classifier, rng
        self.logits = classifier(features)
        self.shift = (torch.cov(features.T) @ classifier.weight.T).T                  # [1000,1280]
        self.gain = (classifier.weight * self.shift).sum(1)                           # logit per unit of shift
        best = self.logits.max(1)
        self.own, self.sure = best.indices, best.values
        self.sure_ones = best.values[best.values > best.values.median()]

    @torch.no_grad()
    def __call__(self, features, photos, wanted):
        """features [n,1280] of `photos` (in any view) -> the same, now of class `wanted`."""
        draw = lambda high: torch.randint(high, (len(wanted),), generator=self.rng)
        own = self.own[photos]
        x = features - (self.sure[photos].clamp(min=0) / self.gain[own])[:, None] * self.shift[own]
        goal = self.sure_ones[draw(len(self.sure_ones))]
        now = (x * self.c.weight[wanted]).sum(1) + self.c.bias[wanted]
        return (x + ((goal - now) / self.gain[wanted])[:, None] * self.shift[wanted]).clamp(min=0)

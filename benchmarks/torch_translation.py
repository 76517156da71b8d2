"""Chapter 16's attention model in PyTorch, with weights to and from Keras, and a beam search.

A bidirectional encoder of one layer, a decoder of two with input feeding, scaled Luong attention,
one embedding for the target's words and the classifier: the preset `best_zh`.
"""

import argparse

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from chapter16_nmt import data
from chapter16_nmt.cells import Cell
from chapter16_nmt.corpus import END_ID, START_ID
from chapter16_nmt.model import Translator

States = list[tuple[torch.Tensor, torch.Tensor]]


def gates(weights: np.ndarray) -> torch.Tensor:
    """Returns weights whose last axis has the gates i, g, f, o in PyTorch's order: i, f, g, o."""
    i, g, f, o = np.split(weights, 4, axis=-1)
    return torch.from_numpy(np.concatenate([i, f, g, o], axis=-1).T.copy())


def gates_back(weights: torch.Tensor) -> np.ndarray:
    """Returns weights of PyTorch in the order and with the axes of ours."""
    i, f, g, o = np.split(weights.detach().numpy().T, 4, axis=-1)
    return np.concatenate([i, g, f, o], axis=-1)


def copy_cell(cell: Cell, made: nn.Module, suffix: str = "") -> None:
    """Copies the weights of a cell; PyTorch's second bias stays 0, and is not trained."""
    bias = np.array(cell.bias)
    bias[2 * cell.size : 3 * cell.size] += cell.forget_bias
    getattr(made, f"weight_ih{suffix}").data = gates(np.array(cell.kernel))
    getattr(made, f"weight_hh{suffix}").data = gates(np.array(cell.recurrent_kernel))
    getattr(made, f"bias_ih{suffix}").data = gates(bias)
    second = getattr(made, f"bias_hh{suffix}")
    second.data.zero_()
    second.requires_grad_(False)


def copy_cell_back(made: nn.Module, cell: Cell, suffix: str = "") -> None:
    """Copies the weights of a cell from PyTorch."""
    cell.kernel.assign(gates_back(getattr(made, f"weight_ih{suffix}")))
    cell.recurrent_kernel.assign(gates_back(getattr(made, f"weight_hh{suffix}")))
    bias = gates_back(getattr(made, f"bias_ih{suffix}"))
    bias[2 * cell.size : 3 * cell.size] -= cell.forget_bias
    cell.bias.assign(bias)


def linear(kernel: np.ndarray) -> nn.Linear:
    """Returns a layer without bias."""
    made = nn.Linear(*kernel.shape, bias=False)
    made.weight.data = torch.from_numpy(kernel.T.copy())
    return made


class TorchTranslator(nn.Module):
    """Encoder, decoder, embeddings; tokens are int64 of shape (batch, time)."""

    def __init__(self, model: Translator):
        """Copies all weights, and takes over the rate of dropout."""
        super().__init__()
        self.dropout = nn.Dropout(model.settings.dropout)
        units, decoder = model.settings.num_units, model.decoder
        self.source, self.target = (
            nn.Embedding.from_pretrained(torch.from_numpy(np.array(layer.embeddings)), freeze=False)
            for layer in (model.source_embedding, model.target_embedding))
        self.encoder = nn.LSTM(units, units, batch_first=True, bidirectional=True)
        copy_cell(model.encoder.forward.cells[0], self.encoder, "_l0")
        copy_cell(model.encoder.backward.cells[0], self.encoder, "_l0_reverse")
        self.cells = nn.ModuleList(nn.LSTMCell(size, units) for size in (2 * units, units))
        for cell, made in zip(decoder.stack.cells, self.cells, strict=True):
            copy_cell(cell, made)
        self.memory = linear(np.array(decoder.attention.memory_kernel))
        self.scale = nn.Parameter(torch.from_numpy(np.array(decoder.attention.scale)))
        self.attention_layer = linear(np.array(decoder.attention_layer.kernel))

    def copy_back(self, model: Translator) -> None:
        """Copies all weights to a Keras model of the same sizes."""
        decoder = model.decoder
        for ours, layer in ((self.source, model.source_embedding),
                            (self.target, model.target_embedding)):
            layer.embeddings.assign(ours.weight.detach().numpy())
        copy_cell_back(self.encoder, model.encoder.forward.cells[0], "_l0")
        copy_cell_back(self.encoder, model.encoder.backward.cells[0], "_l0_reverse")
        for made, cell in zip(self.cells, decoder.stack.cells, strict=True):
            copy_cell_back(made, cell)
        decoder.attention.memory_kernel.assign(self.memory.weight.detach().numpy().T)
        decoder.attention.scale.assign(self.scale.detach().numpy())
        decoder.attention_layer.kernel.assign(self.attention_layer.weight.detach().numpy().T)

    def encode(
        self, source: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, States]:
        """Returns the encoder's outputs, the keys of the attention, and the decoder's states."""
        words = self.dropout(self.source(source))
        packed = pack_padded_sequence(words, mask.sum(1), batch_first=True, enforce_sorted=False)
        outputs, (h, c) = self.encoder(packed)
        values, _ = pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])
        return values, self.memory(values), list(zip(h, c, strict=True))

    def step(
        self, tokens: torch.Tensor, fed: torch.Tensor, states: States, values: torch.Tensor,
        keys: torch.Tensor, mask: torch.Tensor,
    ) -> tuple[torch.Tensor, States]:
        """Reads a word per sentence; returns the attention vectors and the new states."""
        inputs, after = torch.cat([self.target(tokens), fed], dim=1), []
        for cell, state in zip(self.cells, states, strict=True):
            after.append(cell(self.dropout(inputs), state))
            inputs = after[-1][0]
        scores = self.scale * torch.bmm(keys, inputs[:, :, None])[:, :, 0]
        weights = scores.masked_fill(~mask, -1e30).softmax(1)
        context = torch.bmm(weights[:, None], values)[:, 0]
        return self.attention_layer(torch.cat([inputs, context], dim=1)), after

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Returns the logits of the next word."""
        return functional.linear(vectors, self.target.weight)

    def forward(
        self, source: torch.Tensor, source_mask: torch.Tensor, target: torch.Tensor,
        target_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the logits of all words that count, row by row."""
        values, keys, states = self.encode(source, source_mask)
        fed, outputs = values.new_zeros(len(source), values.shape[2] // 2), []
        for tokens in target.T:
            fed, states = self.step(tokens, fed, states, values, keys, source_mask)
            outputs.append(fed)
        return self.logits(torch.stack(outputs, dim=1)[target_mask])


def train_step(
    network: TorchTranslator, optimizer: torch.optim.Optimizer, batch: data.Batch,
    flags: argparse.Namespace,
) -> float:
    """Updates the weights by one batch, as chapter 16's train step; returns the loss per word."""
    source, source_mask, inputs, outputs, mask = map(torch.from_numpy, batch)
    logits = network(source.long(), source_mask, inputs.long(), mask)
    loss = functional.cross_entropy(logits, outputs.long()[mask],
                                    label_smoothing=flags.label_smoothing)
    optimizer.zero_grad()
    loss.backward()
    (group,) = optimizer.param_groups
    torch.nn.utils.clip_grad_norm_(group["params"], flags.max_gradient_norm)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def beam_search(
    network: TorchTranslator, source: torch.Tensor, mask: torch.Tensor, limits: list[int],
    width: int,
) -> list[float]:
    """Returns the log-probability of the best translation of each sentence that the beam finds.

    Args:
        network: the trained network.
        source: tokens of shape (batch, time).
        mask: where they are words.
        limits: most tokens of each translation, with the end symbol.
        width: of the beam.
    """
    count = len(source)
    values, keys, states = network.encode(source, mask)
    rows = torch.arange(count).repeat_interleave(width)
    values, keys, mask = values[rows], keys[rows], mask[rows]
    states = [(h[rows], c[rows]) for h, c in states]
    fed = values.new_zeros(len(rows), values.shape[2] // 2)
    tokens = torch.full((len(rows),), START_ID)
    alive = torch.full((count, width), -torch.inf)
    alive[:, 0] = 0.0
    done: list[list[float]] = [[] for _ in range(count)]
    open_sentences = set(range(count))
    for time in range(1, max(limits) + 1):
        fed, states = network.step(tokens, fed, states, values, keys, mask)
        total = alive[:, :, None] + network.logits(fed).log_softmax(1).view(count, width, -1)
        best, index = total.flatten(1).topk(2 * width)
        origin, token = index // total.shape[2], index % total.shape[2]
        parents = torch.zeros(count, width, dtype=torch.long)
        following = torch.full((count, width), END_ID)
        alive = torch.full((count, width), -torch.inf)
        for row in sorted(open_sentences):
            ended = token[row] == END_ID
            done[row] = sorted([*done[row], *best[row, ended].tolist()], reverse=True)[:width]
            kept = torch.nonzero(~ended)[:width, 0]
            parents[row], following[row] = origin[row, kept], token[row, kept]
            alive[row] = best[row, kept]
            full = len(done[row]) == width and float(alive[row, 0]) <= done[row][-1]
            if full or time >= limits[row]:
                done[row] = done[row] or alive[row].tolist()
                open_sentences.remove(row)
        if not open_sentences:
            break
        rows = (parents + width * torch.arange(count)[:, None]).flatten()
        fed, states = fed[rows], [(h[rows], c[rows]) for h, c in states]
        tokens = following.flatten()
    return [scores[0] for scores in done]

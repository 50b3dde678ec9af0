"""The same trained networks in PyTorch, in Keras on PyTorch and in TensorFlow: do they explain alike?

Each side is written as its own users write it. TensorFlow lives in an environment and a process of its own, as beside
PyTorch it can end the process (`coexistence`); `make tensorflow` builds it, asks it, and stores its answers in
`recorded.npz` and `recorded.json`, which the notebook shows.
"""

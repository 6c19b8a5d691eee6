"""The workshop: data, losses and recipes; its only product is a bundle."""

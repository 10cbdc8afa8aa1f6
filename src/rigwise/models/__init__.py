"""What is trained: operations with their exact work, blocks of them, builders, the zoo, readers of outside models."""

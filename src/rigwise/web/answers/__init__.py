"""What the verbs answer, as classes that OpenAPI and the page's types are made of."""

"""Events from stores, turned into messages. An event is a hint: the worker looks at what is there when it comes."""

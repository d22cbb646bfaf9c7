"""A runtime for MLServer that serves an ONNX file. MLServer imports this by its dotted name."""

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class OnnxModel(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self.session = onnxruntime.InferenceSession(await get_model_uri(self._settings))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feed = {given.name: NumpyCodec.decode_input(given) for given in payload.inputs}
        names = [output.name for output in self.settings.outputs]
        results = self.session.run(names, feed)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output(name, result)
                for name, result in zip(names, results, strict=True)
            ],
        )

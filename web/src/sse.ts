/** Gives the events of a response as they come, until it ends or breaks. */
export async function readEvents(response: Response, take: (events: string[]) => void): Promise<void> {
  const parser = new SseParser();
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    take(parser.push(value));
  }
}

/** Takes a stream of server-sent events apart, in whatever pieces it comes; gives the data of each event. */
export class SseParser {
  private rest = '';
  private data: string[] = [];

  push(text: string): string[] {
    const found: string[] = [];
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.data.length > 0) found.push(this.data.join('\n'));
        this.data = [];
      } else if (line.startsWith('data:')) {
        this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
    return found;
  }
}
